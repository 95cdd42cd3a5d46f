//! The host: chip authentication with OpenSSL's elliptic curves, then a protected dialogue.

use chancery_cvc::DeviceChain;
use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord};
use chancery_schsm::secure_messaging::{ChannelKeys, HostChannel, Protocol};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint, PointConversionForm};
use openssl::nid::Nid;

use crate::support::{Bench, bytes};

/// MSE SET AT for AES.
pub(crate) const MSE_AES: &str = "002241A40C 800A04007F00070202030202";
/// MSE SET AT for triple DES.
pub(crate) const MSE_3DES: &str = "002241A40C 800A04007F00070202030201";

/// An open channel.
pub(crate) struct Channel(pub(crate) HostChannel);

impl Channel {
    pub(crate) fn open(bench: &mut Bench, protocol: Protocol) -> Self {
        bench.ok(match protocol {
            Protocol::Aes128 => MSE_AES,
            Protocol::TripleDes => MSE_3DES,
        });
        let group = EcGroup::from_curve_name(Nid::BRAINPOOL_P256R1).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let ephemeral = EcKey::generate(&group).unwrap();
        let form = PointConversionForm::UNCOMPRESSED;
        let point = ephemeral
            .public_key()
            .to_bytes(&group, form, &mut context)
            .unwrap();
        let chain = bench.send("00B12F020000045402000000 00").0;
        let device = DeviceChain::parse(&chain).unwrap();
        let key = device.device_certificate().unwrap().key().key();
        let device = EcPoint::from_bytes(&group, key.point().unwrap(), &mut context).unwrap();
        let mut shared = EcPoint::new(&group).unwrap();
        shared
            .mul2(&group, &device, ephemeral.private_key(), &mut context)
            .unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        shared
            .affine_coordinates(&group, &mut x, &mut y, &mut context)
            .unwrap();

        let answer = bench.ok(&format!("0086000045 7C438041 {} 00", hex::encode(&point)));
        assert_eq!(
            (&answer[..4], &answer[12..14]),
            (&[0x7C, 0x14, 0x81, 8][..], &[0x82, 8][..])
        );
        let nonce = answer[4..12].try_into().unwrap();
        let keys = ChannelKeys::derive(protocol, &x.to_vec_padded(32).unwrap(), &nonce);
        assert!(keys.token_matches(&point, &answer[14..]));
        Self(HostChannel::new(keys))
    }

    pub(crate) fn send(&mut self, bench: &mut Bench, command: &str) -> (Vec<u8>, u16) {
        let plain = CommandApdu::parse(&bytes(command)).unwrap();
        let protected = self.0.protect_command(&plain).unwrap();
        let (data, status) = bench.send_bytes(&protected.encode());
        let opened = self
            .0
            .unprotect_response(&ResponseApdu::new(data, StatusWord(status)))
            .unwrap_or_else(|error| panic!("{error} for {command}"));
        assert_eq!(status, 0x9000, "outside, for {command}");
        (opened.data.to_vec(), opened.status.0)
    }

    pub(crate) fn dialogue(&mut self, bench: &mut Bench, table: &[(&str, u16, &str)]) {
        for (index, (command, status, data)) in table.iter().enumerate() {
            let found = self.send(bench, command);
            assert_eq!(found.1, *status, "step {index}: {:04X} for {command}", found.1);
            let data = data.replace(' ', "");
            match data.strip_suffix('*') {
                Some(start) => assert!(hex::encode_upper(&found.0).starts_with(start), "step {index}"),
                None => assert_eq!(hex::encode_upper(&found.0), data, "step {index}: {command}"),
            }
        }
    }
}
