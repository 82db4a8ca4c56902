//! `transforms`: Fluvio's section, by which the `fluvio` command itself runs the module. It must say what ours say.

use isotherm_model::params::{BadParams, OutputFormat, Params};
use isotherm_model::settings::Settings;

use super::error::{Place, Problems};
use super::section::{Section, text};
use super::yaml::{Entry, Node, Value};

/// Our name for each of the module's parameters, in the order of [`Params::SETTINGS`].
const PATHS: [&str; Params::SETTINGS.len()] = [
    "reading.sensor",
    "reading.group",
    "reading.time",
    "reading.value",
    "reading.groups",
    "reading.range.min",
    "reading.range.max",
    "windows.size",
    "windows.max-ahead",
];

/// Reads `transforms`; answers the module's name.
pub(super) fn read(transforms: &Entry, settings: &Settings, problems: &mut Problems) -> Option<String> {
    let step = match &transforms.node.value {
        Value::List(steps) => match steps.as_slice() {
            [step] => step,
            [] => {
                problems
                    .add(transforms.node.place, "`transforms` is empty; write `- uses: window-stats`, or leave it out");
                return None;
            }
            [_, second, ..] => {
                let what =
                    "the module must be the only transform, since it reads whole batches of the log; remove this one";
                problems.add(second.place, what);
                return None;
            }
        },
        other => {
            let kind = other.kind();
            problems.add(
                transforms.node.place,
                format!("`transforms` must be a list (`- uses: window-stats`), not {kind}"),
            );
            return None;
        }
    };
    let mut section = Section::new("transforms", step, problems)?;
    let place = section.place;
    let uses = section.take_text("uses", problems, |name| match name {
        name if name.contains(char::is_whitespace) => Err("a module's name has no white space"),
        name => Ok(name.to_owned()),
    });
    if uses.is_none() {
        problems.add(place, "the transform has no sound `uses`; name the module: `uses: window-stats`");
    }
    if let Some(entry) = section.take("lookback") {
        problems.add(entry.place, "`lookback` is not possible: the module looks at nothing but the batch; remove it");
    }
    let with = section.take("with");
    section.finish(problems);
    compare(with, place, settings, problems);
    uses.map(|(name, _)| name)
}

/// Compares the parameters that the `fluvio` command would give the module with our settings.
fn compare(with: Option<&Entry>, transform: Place, settings: &Settings, problems: &mut Problems) {
    // Where our sections are wrong, what they say is not compared with anything.
    let sound = problems.is_empty();
    let Some(given) = with.map_or(Some(vec![]), |with| params(&with.node, problems)) else {
        return;
    };
    let place_of = |name: &str| given.iter().find(|param| param.name == name).map(|param| param.place);
    let place = with.map_or(transform, |with| with.place);
    let theirs = Params::new(given.iter().map(|param| (param.name, param.text.as_str()))).and_then(|mut params| {
        // What the command shows; the consumer always asks for the binary form.
        OutputFormat::take(&mut params)?;
        params.into_settings()
    });
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(error) => {
            let name_place = match &error {
                BadParams::Unknown { name, .. } => {
                    given.iter().find(|param| param.name == name).map(|param| param.name_place)
                }
                BadParams::Repeated(name) | BadParams::Empty(name) => place_of(name),
                BadParams::Wrong { name, .. } => place_of(name),
                BadParams::Contradiction(_) => None,
            };
            problems.add(name_place.unwrap_or(place), format!("`with`: {error}"));
            return;
        }
    };
    if !sound {
        return;
    }
    for (((name, ours), (_, theirs)), path) in settings.to_params().into_iter().zip(theirs.to_params()).zip(PATHS) {
        if ours == theirs {
            continue;
        }
        let line = format!("{name}: {}", quoted(&name, &ours));
        match place_of(&name) {
            Some(its_place) => problems.add(
                its_place,
                format!("`with` says `{name}` is `{theirs}`, but `{path}` is `{ours}`; make them equal: `{line}`"),
            ),
            None => problems.add(
                place,
                format!(
                    "`with` leaves out `{name}`, so that the `fluvio` command would take `{theirs}`, but `{path}` is \
                     `{ours}`; add `{line}`"
                ),
            ),
        }
    }
}

/// A value as it must stand in `with`: numbers in quotes, lists and texts as they are.
fn quoted(name: &str, value: &str) -> String {
    if matches!(name, "min" | "max") { format!("\"{value}\"") } else { value.to_owned() }
}

/// A parameter of `with`.
struct Param<'a> {
    name: &'a str,
    text: String,
    /// Where the name stands.
    name_place: Place,
    /// Where the value stands.
    place: Place,
}

/// The parameters as the `fluvio` command reads them: texts as they stand, lists as JSON, and nothing else.
fn params<'a>(with: &'a Node, problems: &mut Problems) -> Option<Vec<Param<'a>>> {
    let Value::Section(entries) = &with.value else {
        let what = format!(
            "`with` must be a section of parameters (`window: 3s`), not {}; or leave it out",
            with.value.kind()
        );
        problems.add(with.place, what);
        return None;
    };
    let mut params = Vec::new();
    for Entry { name, node, place } in entries {
        let path = format!("with.{name}");
        let text = match &node.value {
            Value::List(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(|item| literal(&path, item, problems)).collect();
                texts.map(|texts| serde_json::Value::from(texts).to_string())
            }
            _ => literal(&path, node, problems).map(str::to_owned),
        };
        params.push(Param { name, text: text?, name_place: *place, place: node.place });
    }
    Some(params)
}

/// A text that the `fluvio` command takes for one, too: not what looks like a number, `true` or `null`.
fn literal<'a>(path: &str, node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    let value = text(path, node, problems)?;
    if matches!(&node.value, Value::Text { plain: true, .. }) && looks_otherwise(value) {
        problems.add(
            node.place,
            format!("`{path}` must be a text for the `fluvio` command; put it in quotes: `\"{value}\"`"),
        );
        return None;
    }
    Some(value)
}

/// Whether YAML takes a plain text for a number, a truth value or nothing.
fn looks_otherwise(plain: &str) -> bool {
    let words = ["true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "~"];
    let special = plain.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let digits = special.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let radix = ["0x", "0o", "0b"].iter().any(|radix| special.starts_with(radix));
    words.contains(&plain)
        || matches!(special.as_str(), ".inf" | ".nan")
        || digits && (radix || plain.parse::<f64>().is_ok())
}
