//! The last word. Many programs leave without `C_Finalize`, others go on writing after it: a page of usage, their library's
//! errors. When the process ends, the reason of a refusal is written once more, after everything else.

use std::panic::catch_unwind;

use crate::instance;

/// Run by the dynamic linker once the program's own exit handlers are done. The library stays loaded until then.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_THE_END: extern "C" fn() = last_word;

extern "C" fn last_word() {
    // Nobody is there any more who could be told of a panic.
    let _ = catch_unwind(|| {
        if let Some(library) = instance::latest() {
            library.notices().repeat();
        }
    });
}
