//! The commands between members of a group.

use chancery_cvc::{DeviceIdentity, TrustAnchors, der_to_plain};
use chancery_iso7816::{CommandApdu, Transport};
use chancery_schsm::{Algorithm, Kcv, KeyDomainStatus, KeyId};

use super::error::{ExchangeError, ExchangeProofError};
use super::membership::{Membership, VerifiedMembership, signed_for};
use super::offer::VerifiedOffer;
use super::places::places;
use super::vouched::VouchedRequest;
use crate::card::Authenticated;
use crate::domain::parse_status;
use crate::error::{Doing, Error};
use crate::session::sealed::HasSession;

impl<T: Transport> Authenticated<T> {
    /// Has the group signer `key` admit a device to its group. The membership is verified before it is given out.
    ///
    /// `signer` is the key's request with the chain of this token; `anchors` must know this token.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn sign_membership(
        &mut self,
        key: KeyId,
        signer: &VouchedRequest,
        member: &DeviceIdentity,
        anchors: &TrustAnchors,
    ) -> Result<VerifiedMembership, ExchangeError> {
        let message = signed_for(member).ok_or_else(|| {
            ExchangeError::Signature(ExchangeProofError::DeviceKey {
                device: member.name().clone(),
            })
        })?;
        let signature = self.sign(key, Algorithm::EcdsaSha256, &message)?;
        let order = signer.key().domain().order_len();
        let signature = der_to_plain(&signature, order).map_err(ExchangeError::Form)?;
        Membership::new(signer.clone(), &signature)?
            .verify(anchors, member)
            .map_err(ExchangeError::Signature)
    }

    /// Makes exchange domain `domain`, which must be free, by a membership of this token. The chain of the group signer's token
    /// is made known to this one first.
    ///
    /// # Errors
    /// [`ExchangeError`]; the domain is then not there, unless the link was lost.
    pub fn join_group(
        &mut self,
        domain: u8,
        membership: &VerifiedMembership,
    ) -> Result<KeyDomainStatus, ExchangeError> {
        match places(self)?.get(usize::from(domain)) {
            None => return Err(ExchangeError::NoPlace { domain }),
            Some(Some(_)) => return Err(ExchangeError::Taken { domain }),
            Some(None) => {}
        }
        let session = self.session();
        let found = session.device_name()?;
        if found != *membership.member() {
            return Err(ExchangeError::OtherMember {
                member: membership.member().clone(),
                found,
            });
        }
        let membership = membership.membership();
        session.introduce_voucher(membership.signer())?;
        let doing = Doing::new(
            "MANAGE KEY DOMAIN",
            format!("create domain {domain} by membership"),
        );
        let command = CommandApdu::new(0x80, 0x52, 0x02, domain).expecting(256);
        let command = session.oversize(command, &membership.command_data())?;
        let response = session.link.exchange(&doing, command)?;
        let status = response.status;
        match status.0 {
            0x9000 => {}
            0x6984 | 0x6985 | 0x6A80 | 0x6A88 => return Err(ExchangeError::MembershipRefused { status }),
            0x6A86 => return Err(Error::NotOffered { doing, status }.into()),
            _ => return Err(Error::refused(&doing, status).into()),
        }
        let status = parse_status(&doing, &response.data)?;
        if status.uid.as_deref() != Some(membership.group()) {
            return Err(Error::protocol(&doing, "a domain of another group").into());
        }
        Ok(status)
    }

    /// Agrees with a peer on the key encryption key of exchange domain `domain`, by exchange key `key`. One that the domain had
    /// before is replaced. The peer has to do the same with this token's offer; both then show the same key check value.
    ///
    /// # Errors
    /// [`ExchangeError`]; a key encryption key of before is then still there, unless the link was lost.
    pub fn agree(
        &mut self,
        domain: u8,
        key: KeyId,
        peer: &VerifiedOffer,
    ) -> Result<KeyDomainStatus, ExchangeError> {
        let name = peer.device().name();
        let session = self.session();
        let vouched = peer.offer().vouched();
        session.introduce_voucher(vouched)?;
        let doing = Doing::new("DECIPHER", format!("key {key} agrees with {name}"));
        let command = CommandApdu::new(0x80, 0x62, key.0, Algorithm::EcdhXkek.id()).expecting(256);
        let command = session.oversize(command, vouched.request().content())?;
        let status = session.link.exchange(&doing, command)?.status;
        match status.0 {
            0x9000 => {}
            0x6984 | 0x6985 | 0x6A80 | 0x6A81 | 0x6A88 => {
                return Err(ExchangeError::AgreementRefused {
                    peer: name.clone(),
                    status,
                });
            }
            _ => return Err(Error::key_use(&doing, status).into()),
        }
        let status = session
            .key_domain(domain)?
            .ok_or_else(|| Error::protocol(&doing, "the key domain is gone"))?;
        if status.kcv == Kcv::NONE {
            return Err(ExchangeError::NoKek {
                peer: name.clone(),
                domain,
            });
        }
        Ok(status)
    }
}
