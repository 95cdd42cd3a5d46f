//! Smart card readers through PC/SC, loaded at run time.
