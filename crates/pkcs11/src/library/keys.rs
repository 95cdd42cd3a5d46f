//! Keys of operations.

use cryptoki_sys as ck;

use super::{Library, ObjectHandle, SessionHandle, require_login, session::Desk, table::Target};
use crate::{
    attribute::{Kind, Template},
    curve::Curve,
    error::{Code, Result},
    mechanism::{Mechanism, Parameters},
    slot::{KeyKind, Object, ObjectId},
};
use std::sync::Arc;

impl Library {
    /// The private key on the token that a handle stands for, if it is for this use.
    pub(super) fn private_key(
        &self,
        desk: &Desk,
        handle: ObjectHandle,
        key_type: ck::CK_KEY_TYPE,
        usage: Kind,
    ) -> Result<Arc<Object>> {
        require_login(desk.login)?;
        let invalid = |code| match code {
            Code::OBJECT_HANDLE_INVALID => Code::KEY_HANDLE_INVALID,
            code => code,
        };
        let target = self
            .table()
            .target(desk.slot, handle)
            .map_err(|error| invalid(error.code()))?;
        let Target::Token(_, id) = target else {
            return Err(Code::KEY_HANDLE_INVALID.into());
        };
        let kinds = [
            ck::CKA_CLASS,
            ck::CKA_KEY_TYPE,
            usage,
            ck::CKA_ALWAYS_AUTHENTICATE,
        ];
        let key = self
            .on_token(desk, id, &kinds)
            .map_err(|error| match error.code() {
                Code::OBJECT_HANDLE_INVALID => Code::KEY_HANDLE_INVALID.into(),
                _ => error,
            })?;
        if key.class() != Some(ck::CKO_PRIVATE_KEY) {
            return Err(Code::KEY_HANDLE_INVALID.into());
        }
        if key.attributes.get_number(ck::CKA_KEY_TYPE) != Some(key_type) {
            return Err(Code::KEY_TYPE_INCONSISTENT.into());
        }
        if !key.attributes.get_flag(usage) {
            return Err(Code::KEY_FUNCTION_NOT_PERMITTED.into());
        }
        Ok(key)
    }

    /// Whether the slot offers a mechanism for this.
    pub(super) fn require_offer(desk: &Desk, mechanism: &Mechanism, flag: ck::CK_FLAGS) -> Result<()> {
        let offered = |offer: &crate::Offer| offer.kind == mechanism.kind && offer.flags & flag != 0;
        if desk.device.mechanisms().iter().any(offered) {
            Ok(())
        } else {
            Err(Code::MECHANISM_INVALID.into())
        }
    }

    /// `C_GenerateKeyPair`: public and private key.
    ///
    /// # Errors
    /// `CKR_SESSION_READ_ONLY`, `CKR_USER_NOT_LOGGED_IN`, `CKR_MECHANISM_INVALID`, `CKR_TEMPLATE_INCOMPLETE`,
    /// `CKR_CURVE_NOT_SUPPORTED`, and as of [`Manage::generate`](crate::Manage::generate).
    pub fn generate_key_pair(
        &self,
        session: SessionHandle,
        mechanism: &Mechanism,
        public: &Template,
        private: &Template,
    ) -> Result<(ObjectHandle, ObjectHandle)> {
        let desk = self.desk(session)?;
        Self::require_offer(&desk, mechanism, ck::CKF_GENERATE_KEY_PAIR)?;
        if mechanism.parameters != Parameters::None {
            return Err(Code::MECHANISM_PARAM_INVALID.into());
        }
        // Keys of a token live on the token: who wants one that goes with the session gets none.
        if private.flag(ck::CKA_TOKEN)? == Some(false) {
            return Err(Code::TEMPLATE_INCONSISTENT.into());
        }
        if !desk.write {
            return Err(Code::SESSION_READ_ONLY.into());
        }
        require_login(desk.login)?;
        let manage = desk.device.manage().ok_or(Code::FUNCTION_NOT_SUPPORTED)?;
        let kind = match mechanism.kind {
            ck::CKM_RSA_PKCS_KEY_PAIR_GEN => {
                let bits = public
                    .number(ck::CKA_MODULUS_BITS)?
                    .ok_or(Code::TEMPLATE_INCOMPLETE)?;
                KeyKind::Rsa {
                    bits: u16::try_from(bits).map_err(|_| Code::KEY_SIZE_RANGE)?,
                    exponent: public.filled(ck::CKA_PUBLIC_EXPONENT).unwrap_or(&[1, 0, 1]),
                }
            }
            _ => KeyKind::Ec {
                curve: Curve::of_params(public.bytes(ck::CKA_EC_PARAMS).ok_or(Code::TEMPLATE_INCOMPLETE)?)
                    .ok_or(Code::CURVE_NOT_SUPPORTED)?,
            },
        };
        let (public, private): (ObjectId, ObjectId) =
            self.noted(desk.slot, manage.generate(kind, public, private))?;
        let mut table = self.table();
        Ok((
            table.handle_of(desk.slot, public),
            table.handle_of(desk.slot, private),
        ))
    }
}
