//! What Fluvio takes for a topic's name.

use fluvio_sc_schema::shared::validate_resource_name;

/// A text that no topic can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give 1 to 63 lowercase letters, digits and hyphens, with no hyphen at the beginning or the end")]
pub struct BadTopicName;

/// Whether a topic can be called so. Fluvio's own check lets an empty name pass.
///
/// # Errors
/// [`BadTopicName`], which says what a name is.
pub fn check_topic_name(name: &str) -> Result<&str, BadTopicName> {
    match validate_resource_name(name) {
        Ok(()) if !name.is_empty() => Ok(name),
        _ => Err(BadTopicName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_cluster_takes() {
        let (most, more) = ("a".repeat(63), "a".repeat(64));
        for name in ["a", "0", "sensors-2", &most] {
            assert_eq!(check_topic_name(name), Ok(name));
        }
        for name in ["", " ", "-", "a-", "-a", "A", "a_b", "a.b", "a/b", "ä", "a\u{200b}", "a\n", &more] {
            assert_eq!(check_topic_name(name), Err(BadTopicName), "{name:?}");
        }
    }
}
