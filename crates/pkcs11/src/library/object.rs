//! Making, changing and deleting objects.

use std::sync::Arc;

use cryptoki_sys as ck;

use super::{Library, ObjectHandle, SessionHandle, require_login, session::Desk, table::Target};
use crate::{
    attribute::{Attributes, Template},
    error::{Code, Result},
    slot::{Manage, Object},
};

/// What `C_GetObjectSize` says of an object that has no size of its own: nothing.
const UNKNOWN: ck::CK_ULONG = ck::CK_UNAVAILABLE_INFORMATION;
/// Attributes of an object that lives as long as its session take at most so many bytes.
const LARGEST: usize = 64 * 1024;

impl Library {
    /// `C_CreateObject`
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCOMPLETE`, `CKR_TEMPLATE_INCONSISTENT`, `CKR_SESSION_READ_ONLY`, `CKR_USER_NOT_LOGGED_IN`, and as of
    /// [`Manage::create`].
    pub fn create_object(&self, session: SessionHandle, template: &Template) -> Result<ObjectHandle> {
        let desk = self.desk(session)?;
        let class = template.number(ck::CKA_CLASS)?.ok_or(Code::TEMPLATE_INCOMPLETE)?;
        if template.flag(ck::CKA_TOKEN)? == Some(true) {
            let manage = writing(&desk)?;
            let id = self.noted(desk.slot, manage.create(template))?;
            return Ok(self.table().handle_of(desk.slot, id));
        }
        // Private keys are made by the token; one that is brought would only pretend to be there.
        if !matches!(
            class,
            ck::CKO_PUBLIC_KEY | ck::CKO_CERTIFICATE | ck::CKO_DATA | ck::CKO_SECRET_KEY
        ) {
            return Err(Code::TEMPLATE_INCONSISTENT.into());
        }
        if template.flag(ck::CKA_PRIVATE)? == Some(true) {
            require_login(desk.login)?;
        }
        let size: usize = template.iter().map(|(_, value)| value.len()).sum();
        if size > LARGEST {
            return Err(Code::DEVICE_MEMORY.into());
        }
        let mut attributes = Attributes::new()
            .flag(ck::CKA_PRIVATE, false)
            .flag(ck::CKA_MODIFIABLE, true)
            .bytes(ck::CKA_LABEL, []);
        for (kind, value) in template.iter() {
            attributes.set(kind, value);
        }
        let attributes = attributes.flag(ck::CKA_TOKEN, false);
        let attributes = if attributes.get_flag(ck::CKA_SENSITIVE) {
            attributes.sensitive(ck::CKA_VALUE)
        } else {
            attributes
        };
        let made = |id| Object {
            id,
            attributes,
            key_bits: 0,
        };
        Ok(self.table().add_session_object(session, desk.slot, made))
    }

    /// `C_DestroyObject`
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`, `CKR_SESSION_READ_ONLY`, `CKR_USER_NOT_LOGGED_IN`, and as of
    /// [`Manage::destroy`].
    pub fn destroy_object(&self, session: SessionHandle, handle: ObjectHandle) -> Result<()> {
        let desk = self.desk(session)?;
        self.seen_from(&desk, handle, &[])?;
        let target = self.table().target(desk.slot, handle)?;
        if let Target::Token(_, id) = target {
            let manage = writing(&desk)?;
            self.noted(desk.slot, manage.destroy(id))?;
        }
        self.table().forget(handle);
        Ok(())
    }

    /// `C_SetAttributeValue`
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`, `CKR_ATTRIBUTE_READ_ONLY`, `CKR_SESSION_READ_ONLY`, `CKR_USER_NOT_LOGGED_IN`, and as of
    /// [`Manage::change`].
    pub fn change_object(
        &self,
        session: SessionHandle,
        handle: ObjectHandle,
        template: &Template,
    ) -> Result<()> {
        let desk = self.desk(session)?;
        let object = self.seen_from(&desk, handle, &template.kinds())?;
        let target = self.table().target(desk.slot, handle)?;
        if let Target::Token(_, id) = target {
            let manage = writing(&desk)?;
            return self.noted(desk.slot, manage.change(id, template));
        }
        let allowed = |kind| matches!(kind, ck::CKA_LABEL | ck::CKA_ID | ck::CKA_APPLICATION);
        if !object.attributes.get_flag(ck::CKA_MODIFIABLE) {
            return Err(Code::ACTION_PROHIBITED.into());
        }
        let mut changed = Object::clone(&object);
        for (kind, value) in template.iter() {
            if !allowed(kind) {
                return Err(Code::ATTRIBUTE_READ_ONLY.into());
            }
            if value.len() > LARGEST {
                return Err(Code::ATTRIBUTE_VALUE_INVALID.into());
            }
            changed.attributes.set(kind, value);
        }
        self.table().replace_session_object(handle, Arc::new(changed));
        Ok(())
    }

    /// `C_GetObjectSize`
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`.
    pub fn object_size(&self, session: SessionHandle, handle: ObjectHandle) -> Result<ck::CK_ULONG> {
        let object = self.object(session, handle, &[ck::CKA_VALUE])?;
        Ok(object
            .attributes
            .get_bytes(ck::CKA_VALUE)
            .and_then(|value| ck::CK_ULONG::try_from(value.len()).ok())
            .unwrap_or(UNKNOWN))
    }
}

/// The token, if this session may write to it.
fn writing(desk: &Desk) -> Result<&dyn Manage> {
    let manage = desk.device.manage().ok_or(Code::TOKEN_WRITE_PROTECTED)?;
    if !desk.write {
        return Err(Code::SESSION_READ_ONLY.into());
    }
    require_login(desk.login)?;
    Ok(manage)
}
