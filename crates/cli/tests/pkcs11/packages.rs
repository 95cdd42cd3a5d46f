//! Programs that sign packages.

use std::fs;

use crate::{
    artefacts::{efi_image, jar},
    listing::certified,
    pkcs11::{engine, module},
    world::PIN,
};

#[test]
fn jarsigner_sbsign_and_osslsigncode_sign() {
    let world = certified();
    world.openssl(&[
        "x509",
        "-inform",
        "DER",
        "-in",
        "certificate.der",
        "-out",
        "certificate.pem",
    ]);
    jar(&world.path("a.jar"));
    fs::write(world.path("a.efi"), efi_image()).unwrap();
    let java = format!(
        "name = chancery\nlibrary = {}\nslotListIndex = 0\n",
        module().display()
    );
    fs::write(world.path("java.cfg"), java).unwrap();
    let sign = [
        "-keystore",
        "NONE",
        "-storetype",
        "PKCS11",
        "-addprovider",
        "SunPKCS11",
        "-providerArg",
        "java.cfg",
        "-storepass",
        PIN,
        "-signedjar",
        "signed.jar",
        "a.jar",
        "key",
    ];
    world.run("jarsigner", &sign).ok();
    let verified = world.run("jarsigner", &["-verify", "signed.jar"]).ok();
    assert!(verified.out.contains("jar verified."), "{}", verified.out);

    let uri = format!("pkcs11:token=signer;object=key;type=private;pin-value={PIN}");
    let sign = [
        "--engine",
        "pkcs11",
        "--key",
        &uri,
        "--cert",
        "certificate.pem",
        "--output",
        "sb.efi",
        "a.efi",
    ];
    world.run("sbsign", &sign).ok();
    let (engine, module) = (engine().display().to_string(), module().display().to_string());
    let sign = [
        "sign",
        "-pkcs11engine",
        &engine,
        "-pkcs11module",
        &module,
        "-key",
        &uri,
        "-certs",
        "certificate.pem",
        "-h",
        "sha256",
        "-in",
        "a.efi",
        "-out",
        "ossl.efi",
    ];
    world.run("osslsigncode", &sign).ok();
    for signed in ["sb.efi", "ossl.efi"] {
        world.run("sbverify", &["--cert", "certificate.pem", signed]).ok();
    }
}
