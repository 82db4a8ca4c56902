//! The parts of a line that shows progress.

/// A bar of `cells` cells, `part` of them (0 to 1) full: `███░░`.
pub fn bar(part: f64, cells: usize) -> String {
    let full = ((part * cells as f64) as usize).min(cells);
    "█".repeat(full) + &"░".repeat(cells - full)
}

/// What turns beside the text where no end is known, one step a call.
pub fn spinner(step: usize) -> char {
    const STEPS: [char; 8] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧'];
    STEPS[step % STEPS.len()]
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_from_the_left() {
        for (part, text) in
            [(0.0, "░░░░"), (0.26, "█░░░"), (0.99, "███░"), (1.0, "████"), (7.0, "████"), (f64::NAN, "░░░░")]
        {
            assert_eq!(bar(part, 4), text, "{part}");
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
