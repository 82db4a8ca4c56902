//! A scratch file in memory, on a disk of limited size.

use isotherm_engine::scratch::{MemoryLimit, Scratch, ScratchError, Stretch};

#[derive(Debug)]
struct MemoryScratch {
    bytes: Vec<u8>,
    disk: usize,
}

/// Open windows may take this many bytes, and the scratch file as many as the disk has.
pub(crate) fn memory_limit(bytes: usize, disk: usize) -> MemoryLimit {
    MemoryLimit { bytes, scratch: Box::new(MemoryScratch { bytes: Vec::new(), disk }) }
}

impl Scratch for MemoryScratch {
    fn append(&mut self, bytes: &[u8]) -> Result<Stretch, ScratchError> {
        let stretch = Stretch { offset: self.bytes.len() as u64, length: bytes.len() };
        if self.bytes.len() + bytes.len() > self.disk {
            return Err(ScratchError::new(std::io::Error::from(std::io::ErrorKind::StorageFull)));
        }
        self.bytes.extend(bytes);
        Ok(stretch)
    }

    fn read(&mut self, stretch: Stretch) -> Result<Vec<u8>, ScratchError> {
        Ok(self.bytes[stretch.offset as usize..][..stretch.length].to_vec())
    }
}
