//! Text from outside, made safe to show: nothing in it steers a terminal, nothing in it is invisible, and none of it is endless.
//!
//! What does not show itself (controls, marks of direction, characters without width, spaces that are no common space) is written
//! as `\u{200b}`. So two texts that differ look different.

use std::borrow::Cow;
use std::fmt::Write;

/// How many characters of a word, which ends at white space, a message shows.
const MOST_OF_WORD: usize = 300;

/// How many characters a message has.
const MOST_OF_MESSAGE: usize = 8_000;

/// How many characters are shown of the end of what is cut.
const TAIL: usize = 20;

/// How an escape begins.
const ESCAPE: &str = "\\u{";

/// A value, on one line: also a line feed is written out, and so is a backslash that would look like the beginning of an escape.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return escaped(text);
    }
    let parts = text.split(ESCAPE).map(escaped).collect::<Vec<_>>();
    Cow::Owned(parts.join("\\u{5c}u{"))
}

/// A text with what does not show itself written out. What has been written out before stays as it is.
fn escaped(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if is_hidden(c, at == 0) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Lines, with no limit.
pub fn lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// A message: lines, long words cut to 300 characters, and all of it to 8,000, in the middle.
pub fn message(text: &str) -> String {
    let mut short = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        short.push_str(&cut(word, MOST_OF_WORD, TAIL));
    }
    cut(&lines(&short), MOST_OF_MESSAGE, MOST_OF_MESSAGE / 4).into_owned()
}

/// A message that colours are in: they stay.
pub(crate) fn coloured_message(text: &str) -> String {
    let mut shown = String::new();
    for (place, piece) in text.split('\u{1b}').enumerate() {
        let colour = if place == 0 { 0 } else { colour(piece) };
        let (colour, rest) = piece.split_at(colour);
        match place {
            0 => {}
            _ if colour.is_empty() => shown.push_str("\\u{1b}"),
            _ => write!(shown, "\u{1b}{colour}").unwrap_or_default(),
        }
        shown.push_str(&message(rest));
    }
    shown
}

/// How long the colour is that stands here, behind an escape character: `[1;31m`.
fn colour(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_digit() || c == ';';
    let end = text.strip_prefix('[').map(|rest| rest.trim_start_matches(is_part));
    end.and_then(|rest| rest.strip_prefix('m')).map_or(0, |rest| text.len() - rest.len())
}

/// A text of more than `most` characters without its middle. The last `tail` characters stay.
fn cut(text: &str, most: usize, tail: usize) -> Cow<'_, str> {
    // A character takes a byte or more.
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let count = text.chars().count();
    let Some(left_out) = count.checked_sub(most).filter(|left_out| *left_out > 0) else {
        return Cow::Borrowed(text);
    };
    let at = |characters: usize| text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    let (head, rest) = text.split_at(at(most - tail));
    let (_, tail) = rest.split_at(at(most - tail + left_out) - head.len());
    Cow::Owned(format!("{head}… ({left_out} characters) …{tail}"))
}

/// Whether a character does not show itself. A mark that is set on the character before it does, unless there is none.
fn is_hidden(c: char, first: bool) -> bool {
    match c {
        ' '..='~' => false,
        // Letters and marks that show nothing.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        // The standard library knows the rest: what it writes out when it is not set on another character.
        _ if first => c.escape_debug().len() > 1,
        _ => c.escape_debug().len() > 1 && ["a", c.encode_utf8(&mut [0; 4])].concat().escape_debug().count() > 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_itself_is_written_out() {
        let hidden = [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180e}',
            '\u{2003}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{e0041}',
            '\u{e01ef}',
            '\u{e000}',
            '\u{10ffff}',
        ];
        for c in hidden {
            let code = u32::from(c);
            assert_eq!(printable(&format!("CA{c}")), format!("CA\\u{{{code:x}}}"));
            assert_eq!(printable(&c.to_string()), format!("\\u{{{code:x}}}"));
        }
        for shown in ["CA", "é", "Zürich", "e\u{301}", "हिन्दी", "日本語", "🌡", "─│▲…", "a\\b", "'\"\\n"]
        {
            assert_eq!(printable(shown), shown);
        }
        assert_eq!(printable("\u{301}a"), "\\u{301}a", "it would be set on what stands before the text");
    }

    #[test]
    fn two_texts_that_differ_look_different() {
        assert_ne!(printable("CA\u{200b}"), printable("CA\\u{200b}"));
        assert_ne!(printable("\\u{200b}"), printable("\\u{5c}u{200b}"));
    }

    #[test]
    fn a_message_keeps_its_lines_and_its_end_and_is_not_endless() {
        assert_eq!(message("error: `a\u{1b}[2J`\nthen\u{feff}"), "error: `a\\u{1b}[2J`\nthen\\u{feff}");
        let word = message(&format!("a topic `{}`: too long; shorten it", "é".repeat(10_000_000)));
        assert!(word.ends_with("é`: too long; shorten it") && word.starts_with("a topic `éé"), "{word}");
        assert!(word.contains("é… (9999704 characters) …é") && word.chars().count() < 400, "{word}");
        let words = message(&format!("cannot: {}; do this", "a b ".repeat(1_000_000)));
        assert!(words.ends_with("a b ; do this") && words.chars().count() < MOST_OF_MESSAGE + 40, "{words}");
        let most = "x".repeat(MOST_OF_WORD);
        assert_eq!(message(&most), most);
        assert_eq!(message(&printable("a\u{200b}")), "a\\u{200b}", "it is written out once");
    }

    #[test]
    fn colours_of_our_own_stay_and_nothing_else() {
        let log = "\u{1b}[2m10:00\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m a\u{1b}[2Jb\u{200b}\u{1b}]0;t\u{7}\u{1b}[31";
        let shown = "\u{1b}[2m10:00\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m a\\u{1b}[2Jb\\u{200b}\\u{1b}]0;t\\u{7}\\u{1b}[31";
        assert_eq!(coloured_message(log), shown);
        assert_eq!(coloured_message("plain\n"), "plain\n");
    }
}
