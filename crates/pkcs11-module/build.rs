//! How the library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Once loaded it stays: threads of the host may hold thread-local data of the cryptography inside, which is freed when
    // they end, by code that must still be there after dlclose.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
