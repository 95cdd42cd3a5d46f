//! What programs sign, as small as it can be.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{fs, path::Path};

/// A PE32+ image for x86-64 with one section: an EFI program that returns.
pub(crate) fn efi_image() -> Vec<u8> {
    const FILE_ALIGNMENT: u32 = 512;
    const SECTION_ALIGNMENT: u32 = 0x1000;
    let mut out = b"MZ".to_vec();
    out.resize(60, 0);
    // Where the PE header is.
    out.extend(64_u32.to_le_bytes());
    out.extend(b"PE\0\0");
    // COFF header: x86-64, one section, 240 bytes of optional header, executable.
    out.extend(0x8664_u16.to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    out.extend([0; 12]);
    out.extend(240_u16.to_le_bytes());
    out.extend(0x22_u16.to_le_bytes());
    // Optional header of a PE32+ image.
    out.extend(0x20B_u16.to_le_bytes());
    out.extend([14, 0]);
    for number in [FILE_ALIGNMENT, 0, 0, SECTION_ALIGNMENT, SECTION_ALIGNMENT] {
        out.extend(number.to_le_bytes());
    }
    out.extend(0x1000_0000_u64.to_le_bytes());
    out.extend(SECTION_ALIGNMENT.to_le_bytes());
    out.extend(FILE_ALIGNMENT.to_le_bytes());
    out.extend([0; 16]);
    // Sizes of image and headers, no checksum, subsystem EFI application.
    for number in [2 * SECTION_ALIGNMENT, FILE_ALIGNMENT, 0, 10] {
        out.extend(number.to_le_bytes());
    }
    out.extend([0; 36]);
    out.extend(16_u32.to_le_bytes());
    out.extend([0; 16 * 8]);
    out.extend(b".text\0\0\0");
    for number in [
        FILE_ALIGNMENT,
        SECTION_ALIGNMENT,
        FILE_ALIGNMENT,
        FILE_ALIGNMENT,
        0,
        0,
        0,
        0x6000_0020,
    ] {
        out.extend(number.to_le_bytes());
    }
    out.resize(512, 0);
    // ret
    out.resize(1024, 0xC3);
    out
}

/// Writes the source of a FIT image with two configurations, both signed with an RSA key, and what is in it: `fit.its`.
pub(crate) fn fit_source(folder: &Path, key: &str, algorithm: &str) {
    for name in ["kernel", "fdt-1", "fdt-2"] {
        fs::write(folder.join(name), name.repeat(100)).unwrap();
    }
    let image = |name: &str, kind: &str, more: &str| {
        format!(
            "{name} {{ description = \"{name}\"; data = /incbin/(\"{name}\"); type = \"{kind}\"; arch = \"arm64\"; \
             compression = \"none\"; {more} hash-1 {{ algo = \"sha256\"; }}; }};"
        )
    };
    let configuration = |name: &str, fdt: &str| {
        format!(
            "{name} {{ kernel = \"kernel\"; fdt = \"{fdt}\"; signature-1 {{ algo = \"{algorithm}\"; key-name-hint = \
             \"{key}\"; sign-images = \"kernel\", \"fdt\"; }}; }};"
        )
    };
    let source = format!(
        "/dts-v1/;\n/ {{ description = \"image\"; #address-cells = <1>;\nimages {{ {} {} {} }};\nconfigurations {{ default \
         = \"conf-1\"; {} {} }}; }};\n",
        image(
            "kernel",
            "kernel",
            "os = \"linux\"; load = <0x80000>; entry = <0x80000>;"
        ),
        image("fdt-1", "flat_dt", ""),
        image("fdt-2", "flat_dt", ""),
        configuration("conf-1", "fdt-1"),
        configuration("conf-2", "fdt-2"),
    );
    fs::write(folder.join("fit.its"), source).unwrap();
}

/// Writes a JAR with one file in it, not compressed.
pub(crate) fn jar(path: &Path) {
    const CONTENT: &[u8] = b"hello\n";
    /// CRC-32 of the content.
    const CHECK: u32 = 0x363A_3020;
    const NAME: &[u8] = b"a.txt";
    let length = u32::try_from(CONTENT.len()).unwrap();
    let name_length = u16::try_from(NAME.len()).unwrap();
    let common = |out: &mut Vec<u8>| {
        // Version 1.0, no flags, stored, 1 January 1980.
        for number in [10_u16, 0, 0, 0, 0x21] {
            out.extend(number.to_le_bytes());
        }
        for number in [CHECK, length, length] {
            out.extend(number.to_le_bytes());
        }
        out.extend(name_length.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
    };
    let mut out = b"PK\x03\x04".to_vec();
    common(&mut out);
    out.extend(NAME);
    out.extend(CONTENT);
    let directory = out.len();
    out.extend(b"PK\x01\x02\x0A\x00");
    common(&mut out);
    out.extend([0; 14]);
    out.extend(NAME);
    let size = u32::try_from(out.len() - directory).unwrap();
    out.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    out.extend(size.to_le_bytes());
    out.extend(u32::try_from(directory).unwrap().to_le_bytes());
    out.extend([0; 2]);
    fs::write(path, out).unwrap();
}
