//! A group of tokens and who signs for it.

use chancery_cvc::{AuthenticatedRequest, DeviceChain, EcPublicKey, PublicKey, der_to_plain};
use openssl::nid::Nid;

use crate::support::{Bench, Installation, apdu, ec_parameters, generate, tlv};

/// Object identifier of the extension that names the group.
const UID: &str = "060B2B0601040181C31F030202";

/// A token that signs memberships with its key 1.
pub(crate) struct Signer {
    pub(crate) token: Bench,
    /// Content of the key's request.
    pub(crate) request: Vec<u8>,
    order_len: usize,
}

impl Signer {
    pub(crate) fn new(installation: &Installation, name: &str, nid: Nid) -> Self {
        let mut token = installation.ready(name, "");
        let request = generate(&mut token, 1, &ec_parameters(nid), "UTGROUP00001", "910173");
        let request = content(&request);
        let order_len = key_of(&request).domain().field_len();
        Self {
            token,
            request,
            order_len,
        }
    }

    /// Identifier of the group: x | y.
    pub(crate) fn uid(&self) -> String {
        hex::encode_upper(&key_of(&self.request).point()[1..])
    }

    /// The key's signature over some bytes.
    pub(crate) fn sign(&mut self, message: &[u8]) -> Vec<u8> {
        let der = self.token.ok(&apdu("80680173", &hex::encode(message)));
        der_to_plain(&der, self.order_len).unwrap()
    }

    /// What makes `member` a member: request and membership signature.
    pub(crate) fn membership(&mut self, member: &mut Bench) -> Vec<u8> {
        let x = device_point(member)[1..33].to_vec();
        let signature = self.sign(&[&[0x54], &x[..]].concat());
        [&self.request[..], &hex::decode(tlv("54", &signature)).unwrap()].concat()
    }
}

/// Content of a request.
pub(crate) fn content(request: &[u8]) -> Vec<u8> {
    AuthenticatedRequest::parse(request).unwrap().content().to_vec()
}

pub(crate) fn key_of(request: &[u8]) -> EcPublicKey {
    match AuthenticatedRequest::parse(request)
        .unwrap()
        .request()
        .public_key()
    {
        PublicKey::Ec(key) => key.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn chain_of(token: &mut Bench) -> DeviceChain {
    DeviceChain::parse(&token.send("00B12F02000004 54020000 0000").0).unwrap()
}

/// Public point of the device key, `04 | x | y`.
pub(crate) fn device_point(token: &mut Bench) -> Vec<u8> {
    match chain_of(token).device_certificate().unwrap().public_key() {
        PublicKey::EcPointOnly(point) => point.clone(),
        other => panic!("{other:?}"),
    }
}

/// Makes the device certificate of `token` known on `target`, as hosts do.
pub(crate) fn introduce(token: &mut Bench, target: &mut Bench) {
    let chain = chain_of(token);
    let device = chain.device_certificate().unwrap();
    let name = tlv("83", device.car().as_str().as_bytes());
    target.ok(&format!("002281B6{:02X}{name}", name.len() / 2));
    target.ok(&apdu("002A00BE", &hex::encode(device.content())));
}

/// A token with two places for key domains that is a member of the group in the first one.
pub(crate) fn member(installation: &Installation, name: &str, signer: &mut Signer) -> Bench {
    let mut token = installation.ready(name, "970102");
    introduce(&mut signer.token, &mut token);
    let membership = signer.membership(&mut token);
    let status = token.ok(&apdu("80520200", &hex::encode(membership)));
    assert_eq!(
        hex::encode_upper(status),
        format!("00000000000000000000{}", signer.uid())
    );
    token
}

/// An exchange key made on a token; answers with the content of its request.
pub(crate) fn exchange_key(token: &mut Bench, id: u8, nid: Nid) -> Vec<u8> {
    let request = generate(token, id, &ec_parameters(nid), "UTEXCHG00001", "910184 920100");
    content(&request)
}

/// The extensions of a request that name the group, if there are any.
pub(crate) fn named_group(request: &[u8]) -> Option<String> {
    let request = AuthenticatedRequest::parse(request).unwrap();
    let extensions = request.request().body().extensions().map(hex::encode_upper)?;
    let uid = extensions.split_once(&format!("{UID}80"))?.1;
    // One byte of length up to 127 bytes.
    Some(uid[2..].to_owned())
}

/// Key check value of the first domain.
pub(crate) fn kcv(token: &mut Bench) -> String {
    hex::encode_upper(&token.ok("8052000000")[2..10])
}

pub(crate) fn derive(token: &mut Bench, id: u8, peer: &[u8]) -> u16 {
    token.status(&apdu(&format!("8062{id:02X}84"), &hex::encode(peer)))
}

/// Writes EF 2F10 in pieces, as hosts with short buffers do.
pub(crate) fn write_scratch(token: &mut Bench, data: &[u8]) {
    for (index, piece) in data.chunks(200).enumerate() {
        let data = format!("5402{:04X}{}", index * 200, tlv("53", piece));
        token.ok(&apdu("00D72F10", &data));
    }
}
