//! The settings that a store was made with, read back from the text that it keeps of them.

use std::path::Path;

use isotherm_model::settings::Settings;
use isotherm_store::Subject;

use super::InspectError;

/// The settings that the store at `path` was made with; an error if it is of another topic than was asked for.
pub fn stored_settings(path: &Path, subject: &Subject, topic: Option<&str>) -> Result<Settings, InspectError> {
    if let Some(asked) = topic.filter(|asked| *asked != subject.topic) {
        let (stored, asked) = (subject.topic.clone(), asked.to_owned());
        return Err(InspectError::OtherTopic { path: path.to_owned(), stored, asked });
    }
    settings(&subject.settings).map_err(|reason| InspectError::Settings { path: path.to_owned(), reason })
}

/// Reads the text that [`Settings::fingerprint`] is a digest of.
pub fn settings(text: &str) -> Result<Settings, String> {
    let mut rest = text.strip_prefix(Settings::CANONICAL).ok_or("they are of an unknown kind")?;
    let mut params = Vec::new();
    while !rest.is_empty() {
        // Values are counted, not delimited: a name in a pointer may hold anything.
        let param = param(rest).ok_or_else(|| format!("they break off {} bytes before their end", rest.len()))?;
        params.push(param.0);
        rest = param.1;
    }
    Settings::from_params(params).map_err(|error| error.to_string())
}

/// The name and the value of the first line, and the rest.
fn param(text: &str) -> Option<((&str, &str), &str)> {
    let (name, rest) = text.split_once(' ')?;
    let (length, rest) = rest.split_once(' ')?;
    let (value, rest) = rest.split_at_checked(length.parse().ok()?)?;
    Some(((name, value), rest.strip_prefix('\n')?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use isotherm_model::schema::{Groups, Pointer};
    use isotherm_model::window::WindowSize;

    use super::*;

    #[test]
    fn the_text_of_any_settings_reads_back() {
        let mut odd = Settings::default();
        odd.schema.group = Pointer::parse("/a line\nand 7 b~1c/é").expect("a pointer");
        odd.schema.groups = Groups::Any;
        odd.window = WindowSize::new(Duration::from_millis(1)).expect("a size");
        for wanted in [Settings::default(), odd] {
            let text = Subject::new("t", "c", &wanted).settings;
            assert_eq!(settings(&text).as_ref(), Ok(&wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_text_is_refused() {
        let whole = Subject::new("t", "c", &Settings::default()).settings;
        let cut = whole.get(..whole.len() - 1).expect("ASCII").to_owned();
        let unknown = format!("{whole}colour 3 red\n");
        for text in ["", "isotherm settings 2\n", &cut, &unknown, "isotherm settings 1\nwindow 99 3s\n"] {
            settings(text).expect_err(text);
        }
    }
}
