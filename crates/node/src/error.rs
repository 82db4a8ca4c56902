//! Why a node does not start, or ends.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::log::LogError;
use crate::reason::plain;

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data folder cannot be used.
    #[error("cannot {action} {}: {}", path.display(), plain(source))]
    Folder { action: &'static str, path: PathBuf, source: io::Error },
    /// Another node uses the data folder.
    #[error("the data folder {} is in use by {holder}; stop it, or give --data another folder", folder.display())]
    Locked { folder: PathBuf, holder: String },
    /// The data folder is no longer where it was, or another node may have taken it.
    #[error(
        "{} was removed or replaced while the node ran: it takes nothing more. Put the data folder back as it was, or end the \
         node", lock.display()
    )]
    Lost { lock: PathBuf },
    /// A file that describes a topic or a SmartModule cannot be understood.
    #[error("{} is not what this version of the node wrote: {reason}; restore it from a copy or remove it", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// A partition's log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with {flag}")]
    Listen { address: SocketAddr, flag: &'static str, source: io::Error },
}
