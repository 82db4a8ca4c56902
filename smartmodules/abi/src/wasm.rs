//! The exports of a module, and the static that holds its instance.

use std::cell::UnsafeCell;

use crate::{Answer, Instance};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Tells the engine where the output lies.
    fn copy_records(ptr: i32, len: i32);
}

/// Holds a module's one instance.
#[derive(Debug)]
pub struct InstanceCell<T>(UnsafeCell<Instance<T>>);

// SAFETY: a module of this target has one thread, so that nothing is ever shared between threads.
unsafe impl<T> Sync for InstanceCell<T> {}

impl<T> InstanceCell<T> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Instance::new()))
    }

    /// Runs one call of the engine on the instance.
    ///
    /// # Safety
    /// Must not be called from within `run`: the engine makes one call after the other, and `copy_records` makes none.
    pub unsafe fn with<R>(&self, run: impl FnOnce(&mut Instance<T>) -> R) -> R {
        // SAFETY: there is one thread, and by this function's contract no other call is under way: the reference is the
        // only one.
        run(unsafe { &mut *self.0.get() })
    }

    /// The address of room for an input of `len` bytes.
    ///
    /// # Safety
    /// As for [`InstanceCell::with`].
    pub unsafe fn alloc(&self, len: usize) -> *mut u8 {
        // SAFETY: by this function's contract.
        unsafe { self.with(|instance| instance.input(len).as_mut_ptr()) }
    }

    /// Runs a call that answers, and tells the engine where the output lies if there is any.
    ///
    /// # Safety
    /// As for [`InstanceCell::with`].
    pub unsafe fn answer(&self, call: impl FnOnce(&mut Instance<T>) -> Answer) -> i32 {
        // SAFETY: by this function's contract.
        unsafe {
            self.with(|instance| {
                let answer = call(instance);
                if answer.output {
                    let output = instance.output();
                    // SAFETY: the engine keeps address and length, and reads there after this call has returned; nothing
                    // changes there until the next call.
                    copy_records(output.as_ptr() as i32, output.len() as i32);
                }
                answer.status
            })
        }
    }
}

/// Exports a [`crate::Transform`] as a SmartModule: `alloc`, `dealloc`, `init` and the transform by the name that is given.
#[macro_export]
macro_rules! export {
    ($transform:ty, $name:ident) => {
        #[cfg(target_arch = "wasm32")]
        mod exports {
            use super::*;

            static INSTANCE: $crate::wasm::InstanceCell<$transform> = $crate::wasm::InstanceCell::new();

            /// The address of room for an input of `len` bytes.
            #[unsafe(no_mangle)]
            extern "C" fn alloc(len: usize) -> *mut u8 {
                // SAFETY: the engine makes one call after the other.
                unsafe { INSTANCE.alloc(len) }
            }

            /// Does nothing: the room for inputs is used again.
            #[unsafe(no_mangle)]
            extern "C" fn dealloc(_ptr: *mut u8, _len: usize) {}

            /// Takes the parameters.
            #[unsafe(no_mangle)]
            extern "C" fn init(_ptr: *mut u8, len: usize, version: i32) -> i32 {
                // SAFETY: the engine makes one call after the other.
                unsafe { INSTANCE.answer(|instance| instance.init(len, version)) }
            }

            /// Answers to a batch.
            #[unsafe(no_mangle)]
            extern "C" fn $name(_ptr: *mut u8, len: usize, version: i32) -> i32 {
                // SAFETY: the engine makes one call after the other.
                unsafe { INSTANCE.answer(|instance| instance.call(len, version)) }
            }
        }
    };
}
