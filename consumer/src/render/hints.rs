//! What to do about an error, in terms of this program's flags. Errors themselves say only what is wrong.

use std::error::Error;

use isotherm_engine::commit::StoreError;
use isotherm_engine::materializer::fault::Fault;
use isotherm_store::Reason;

const RESET: &str = "--reset to throw away what is stored and read the log again";

/// An error with its hint, if there is one.
pub fn described(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error_below) = cause {
        let fault = || error_below.downcast_ref().and_then(fault_hint).map(str::to_owned);
        if let Some(hint) = store_error(error_below).and_then(hint).or_else(fault) {
            return format!("{error}; {hint}");
        }
        cause = error_below.source();
    }
    error.to_string()
}

fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a isotherm_store::Error> {
    error.downcast_ref().or_else(|| error.downcast_ref::<StoreError>()?.downcast_ref())
}

/// What to do about an error of the store.
pub fn hint(error: &isotherm_store::Error) -> Option<String> {
    use isotherm_store::Error::*;
    let hint = match error {
        full if full.is_full_disk() => {
            "make room and start again: nothing that was committed is lost. The store can be asked all the same, and --reset \
             frees the room that it takes"
        }
        Sqlite { reason, .. } => match reason {
            Reason::NotWritable | Reason::ReadOnly => "have it made writable, or take a copy of PATH and PATH-wal",
            Reason::CannotOpen => "look at its folder and its permissions, or take a copy of PATH and PATH-wal",
            Reason::DiskFull | Reason::DiskFailed | Reason::OutOfMemory | Reason::Other => return None,
        },
        Busy { holder: Some(_), .. } => "if it hangs, end that process (`kill -9`, with its number), and start again",
        Busy { holder: None, .. } => {
            "see which one has the file open (`fuser PATH`), end it if it hangs, and start again"
        }
        Io { .. } => "look at the file, its folder and their permissions, or give another --store PATH",
        Damaged { .. } => {
            "restore a copy of it, or start again with --reset and read the log from the start: the log is the truth, and no \
             number is taken from a damaged store"
        }
        Gone { .. } => "put back what was there, and start again",
        Dangling { .. } => "bring it back (is its volume mounted?), or give another --store PATH",
        Linked { .. } => {
            "remove the other ones (`find FOLDER -samefile PATH` names them), and copy a store instead of linking it"
        }
        Changed { .. } => "ask again",
        OtherIdentity { .. } => return Some(format!("give another --store PATH for this, or {RESET}")),
        Locked { .. } => {
            "stop that consumer, give another --store PATH, or go on in its place with --take-over: it then writes nothing \
             any more"
        }
        OlderFormat { .. } => return Some(format!("give another --store PATH, or {RESET}")),
        NewerFormat { .. } => {
            let newer = "use the version that wrote it, or a newer one";
            return Some(format!("{newer}, give another --store PATH, or {RESET}"));
        }
        NotAStore { .. } => "give another --store PATH, or remove the file yourself if it is of no use",
        Missing { path } => return Some(format!("a consumer with `--store {}` makes one", path.display())),
        NoDataFolder => "set XDG_DATA_HOME or HOME, or give --store PATH, or --store memory",
        Unsound { .. } => "start again, with --reset if that does not help, and please report it",
        Fenced { .. } | Other(_) => return None,
    };
    Some(hint.to_owned())
}

/// What to do when the materializer refuses what came.
fn fault_hint(fault: &Fault) -> Option<&'static str> {
    Some(match fault {
        Fault::Unknown { .. } | Fault::NotAttached { .. } | Fault::Reattached { .. } => "please report it",
        Fault::Missing { .. } | Fault::Overlap { .. } => {
            "run again: with a store the run goes on at the right offset, and says what to do if the log no longer holds it"
        }
        Fault::Behind { .. } => {
            "go on without them with --accept-data-loss, which enters the loss in the ledger, or start over with --reset"
        }
        Fault::OtherLog { .. } | Fault::Vanished { .. } | Fault::EndsBefore { .. } => {
            "read it with a store of its own (--store PATH), or start over with --reset"
        }
        Fault::Scratch(_) => return None,
        Fault::OtherVersion { .. } => {
            "run `isotherm-consumer deploy --replace` of this version, or the consumer of the version that is deployed"
        }
        Fault::OtherSettings { .. } | Fault::Unsound { .. } => {
            "run `isotherm-consumer deploy --replace`, so that the module on the cluster and this consumer agree"
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use isotherm_model::partial::ModuleVersion;
    use isotherm_model::settings::Fingerprint;

    use super::*;

    #[test]
    fn hints_are_found_below_other_errors() {
        let damaged = || isotherm_store::Error::Damaged {
            path: PathBuf::from("run.db"),
            table: "manifest",
            what: "its row is missing".to_owned(),
        };
        let said = "the store run.db is damaged (manifest: its row is missing); restore a copy of it, or start again with --reset";
        for error in [
            Box::new(damaged()) as Box<dyn Error>,
            Box::new(StoreError::new(damaged())),
            Box::new(crate::run::Error::Store(StoreError::new(damaged()))),
            Box::new(crate::verify::Error::Store(damaged())),
        ] {
            assert!(described(&*error).starts_with(said), "{}", described(&*error));
        }
        let letters = crate::delivery::Error::Store(damaged());
        assert!(described(&letters).starts_with(&format!("dead letters: {said}")), "{}", described(&letters));
        assert_eq!(described(&std::io::Error::other("no")), "no");
    }

    #[test]
    fn a_refused_event_says_what_to_do() {
        let (ours, fingerprint) = (ModuleVersion::CURRENT, Fingerprint(7));
        for (fault, says) in [
            (Fault::Missing { partition: 0, expected: 2, found: 5 }, "run again"),
            (Fault::EndsBefore { partition: 0, position: 2, end: 1 }, "(--store PATH), or start over with --reset"),
            (Fault::Behind { partition: 0, resume: 2, position: 5 }, "--accept-data-loss"),
            (
                Fault::OtherVersion { partition: 0, offset: 0, found: ours, ours },
                "`isotherm-consumer deploy --replace`",
            ),
            (
                Fault::OtherSettings { partition: 0, offset: 0, found: fingerprint, ours: fingerprint },
                "`isotherm-consumer deploy --replace`",
            ),
        ] {
            let said = described(&crate::run::Error::Fault(fault.clone()));
            assert!(said.contains(&fault.to_string()) && said.contains(says), "{said}");
        }
    }
}
