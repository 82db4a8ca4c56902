//! The names that rotation gives to files: numbers or dates behind the name, or a date before its ending.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// The ends of names of compressed files.
const COMPRESSED: [&str; 2] = [".gz", ".zst"];

/// The digits of a date.
const DATE: usize = 8;

/// The names beside that of a followed file.
pub(super) struct Names<'a>(pub(super) &'a Path);

/// What a rotated file's name says of when it was rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rotated {
    /// `readings.jsonl.2`.
    Number(u64),
    /// `readings.jsonl-20261130`, `readings.2026-11-30.jsonl`: its numbers, in order.
    Date(Vec<u64>),
    /// Nothing.
    Unclear,
}

impl Names<'_> {
    /// The name that a compressed file had before; `None` if it is not one by its name.
    pub(super) fn plain(file: &Path) -> Option<PathBuf> {
        let name = file.file_name()?.to_str()?;
        COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).map(|plain| file.with_file_name(plain))
    }

    /// What the name says of a file that was rotated; `None` if it is no such name.
    pub(super) fn rotated(&self, file: &Path) -> Option<Rotated> {
        let (name, file) = (self.0.file_name()?.to_str()?, file.file_name()?.to_str()?);
        let file = COMPRESSED.iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
        let within = || {
            let (stem, end) = name.rsplit_once('.')?;
            let added = file.strip_prefix(stem)?.strip_suffix(end)?.strip_suffix('.')?;
            // With a number alone it is more likely another file.
            (added.chars().filter(char::is_ascii_digit).count() >= DATE).then_some(added)
        };
        let added = file.strip_prefix(name).or_else(within)?;
        let is_mark = |letter: char| letter.is_ascii_digit() || "-_.:+TZ".contains(letter);
        if !added.starts_with(['.', '-', '_']) || !added.chars().all(is_mark) {
            return None;
        }
        let numbers = added.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
        let numbers: Vec<u64> = numbers.map(|digits| digits.parse().ok()).collect::<Option<_>>()?;
        match *numbers {
            [] => None,
            [number] if added.len() < DATE => Some(Rotated::Number(number)),
            _ => Some(Rotated::Date(numbers)),
        }
    }

    /// Whether the name is that of the followed file with something behind it that says nothing.
    pub(super) fn is_unclear(&self, file: &Path) -> bool {
        let names =
            self.0.file_name().and_then(|name| name.to_str()).zip(file.file_name().and_then(|name| name.to_str()));
        let longer = names.is_some_and(|(name, file)| file.len() > name.len() && file.starts_with(name));
        longer && self.rotated(file).is_none()
    }
}

impl Rotated {
    /// Which of several was rotated first, all of them after `last`; `None` if the names do not say it.
    pub(super) fn oldest(names: &[Self], last: Option<&Self>) -> Option<usize> {
        let mut order: Vec<usize> = (0..names.len()).collect();
        let numbers: Option<Vec<u64>> =
            names.iter().map(|name| if let Self::Number(number) = name { Some(*number) } else { None }).collect();
        if let Some(numbers) = numbers {
            // Most programs give the newest the number 1, and some the highest.
            let last = if let Some(Self::Number(last)) = last { *last } else { u64::MAX };
            let rises = numbers.iter().all(|number| *number > last);
            if !rises && !numbers.iter().all(|number| *number < last) {
                return None;
            }
            order.sort_by_key(|place| numbers.get(*place).copied());
            return if rises { order.first().copied() } else { order.last().copied() };
        }
        let date = |place: &usize| if let Some(Self::Date(date)) = names.get(*place) { Some(date) } else { None };
        if order.iter().any(|place| date(place).is_none()) {
            return None;
        }
        order.sort_by(|a, b| date(a).cmp(&date(b)));
        let first_two = order.first().zip(order.get(1));
        let is_clear = first_two.is_none_or(|(a, b)| date(a).cmp(&date(b)) == Ordering::Less);
        if is_clear { order.first().copied() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated(name: &str) -> Option<Rotated> {
        Names(Path::new("/d/readings.jsonl")).rotated(&Path::new("/d").join(name))
    }

    #[test]
    fn names_of_rotated_files() {
        assert_eq!(rotated("readings.jsonl.1"), Some(Rotated::Number(1)));
        assert_eq!(rotated("readings.jsonl.12.gz"), Some(Rotated::Number(12)));
        assert_eq!(rotated("readings.jsonl-20261130"), Some(Rotated::Date(vec![20_261_130])));
        assert_eq!(rotated("readings.2026-11-30.jsonl.zst"), Some(Rotated::Date(vec![2026, 11, 30])));
        for name in
            ["readings.jsonl", "readings.jsonl.gz", "readings.jsonl.db", "readings.jsonl.bak.1", "readings.jsonl2"]
        {
            assert_eq!(rotated(name), None, "{name}");
        }
        for name in ["other.jsonl.1", "readings.1", "readings.2.jsonl", "readings2.jsonl"] {
            assert_eq!(rotated(name), None, "{name}");
        }
        let names = Names(Path::new("/d/host1.log"));
        assert_eq!(names.rotated(Path::new("/d/host10.log")), None);
        assert!(names.is_unclear(Path::new("/d/host1.log.old")) && !names.is_unclear(Path::new("/d/host1.log.1")));
        assert!(!names.is_unclear(Path::new("/d/host1.log")) && !names.is_unclear(Path::new("/d/host2.log")));
        assert_eq!(Names::plain(Path::new("/d/a.1.gz")), Some(PathBuf::from("/d/a.1")));
    }

    #[test]
    fn the_oldest_by_name() {
        let number = |numbers: &[u64]| numbers.iter().map(|number| Rotated::Number(*number)).collect::<Vec<_>>();
        let last = |number| Some(Rotated::Number(number));
        assert_eq!(Rotated::oldest(&number(&[1, 10, 2]), last(11).as_ref()), Some(1));
        assert_eq!(Rotated::oldest(&number(&[1, 10, 2]), None), Some(1));
        assert_eq!(Rotated::oldest(&number(&[5, 4, 6]), last(3).as_ref()), Some(1));
        assert_eq!(Rotated::oldest(&number(&[5, 2]), last(3).as_ref()), None);
        let date = |numbers: &[u64]| Rotated::Date(numbers.to_vec());
        let dates = [date(&[2026, 11, 30, 10]), date(&[2026, 11, 30, 9]), date(&[2026, 12, 1])];
        assert_eq!(Rotated::oldest(&dates, None), Some(1));
        assert_eq!(Rotated::oldest(&[date(&[2026]), date(&[2026])], None), None);
        assert_eq!(Rotated::oldest(&[date(&[2026]), Rotated::Number(1)], None), None);
        assert_eq!(Rotated::oldest(&[Rotated::Unclear, Rotated::Number(1)], None), None);
    }
}
