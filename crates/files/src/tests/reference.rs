//! Plain readers: they hold the whole content, and look at it a byte at a time.

const SPACE: [u8; 4] = [b' ', b'\t', b'\n', b'\r'];

fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}

/// The records of a content of lines.
pub(super) fn lines(content: &[u8], longest: usize) -> Vec<Vec<u8>> {
    let lines = without_mark(content).split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| line.iter().any(|byte| !SPACE.contains(byte)));
    lines.map(|line| if line.len() > longest { Vec::new() } else { line.to_vec() }).collect()
}

/// The records of a content that is an array; `None` if it does not begin as one, is cut off, or goes on behind it.
pub(super) fn elements(content: &[u8], longest: usize) -> Option<Vec<Vec<u8>>> {
    let content = without_mark(content).trim_ascii_start();
    let mut rest = content.strip_prefix(b"[")?;
    let mut elements = Vec::new();
    if let Some(after) = rest.trim_ascii_start().strip_prefix(b"]") {
        return blank(after).then_some(elements);
    }
    loop {
        let end = end_of_element(rest)?;
        let element = trimmed(&rest[..end]);
        elements.push(if element.len() > longest { Vec::new() } else { element.to_vec() });
        let by = rest[end];
        rest = &rest[end + 1..];
        if by == b']' {
            return blank(rest).then_some(elements);
        }
    }
}

fn end_of_element(text: &[u8]) -> Option<usize> {
    let (mut depth, mut string, mut escaped) = (0, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            _ if string => {}
            b',' | b']' if depth == 0 => return Some(at),
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    None
}

fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| SPACE.contains(byte))
}

fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && SPACE.contains(first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && SPACE.contains(last)
    {
        bytes = rest;
    }
    bytes
}

/// Whether a content is one array.
pub(super) fn is_array(content: &[u8]) -> bool {
    let content = without_mark(content);
    let Some(start) = content.iter().position(|byte| !SPACE.contains(byte)) else {
        return false;
    };
    let text = &content[start..];
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else {
        return text.starts_with(b"[");
    };
    let complete = serde_json::from_slice::<serde_json::Value>(&text[..end]).is_ok();
    text.starts_with(b"[") && (!complete || blank(&text[end..]))
}
