//! Looking for objects.

use std::sync::Arc;

use cryptoki_sys as ck;

use super::{Library, ObjectHandle, SessionHandle, session::Desk, table::Target};
use crate::{
    attribute::{Kind, Template},
    error::{Code, Result},
    slot::{Object, ObjectId, Wanted},
};

impl Library {
    /// `C_FindObjectsInit`
    ///
    /// # Errors
    /// `CKR_OPERATION_ACTIVE`, and as of [`Slot::objects`](crate::Slot::objects).
    pub fn find_begin(&self, session: SessionHandle, template: &Template) -> Result<()> {
        let desk = self.desk(session)?;
        if self.table().session(session)?.found.is_some() {
            return Err(Code::OPERATION_ACTIVE.into());
        }
        let wanted = Wanted {
            only: None,
            class: template.number(ck::CKA_CLASS)?,
            attributes: template.kinds(),
            private: desk.is_user(),
        };
        // What is not on the token need not be looked for there.
        let on_token = template.flag(ck::CKA_TOKEN)? != Some(false);
        let objects = if on_token {
            self.noted(desk.slot, desk.device.objects(&wanted))?
        } else {
            Vec::new()
        };
        let visible =
            |object: &Object| (!object.is_private() || desk.is_user()) && object.attributes.matches(template);
        let mut table = self.table();
        let mut handles: Vec<ObjectHandle> = table
            .session_objects(desk.slot)
            .into_iter()
            .filter(|(_, object)| visible(object))
            .map(|(handle, _)| handle)
            .collect();
        for object in objects.iter().filter(|object| visible(object)) {
            handles.push(table.handle_of(desk.slot, object.id));
        }
        table.session(session)?.found = Some(handles.into_iter());
        Ok(())
    }

    /// `C_FindObjects`: at most so many.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn find_next(&self, session: SessionHandle, most: usize) -> Result<Vec<ObjectHandle>> {
        let mut table = self.table();
        let found = &mut table.session(session)?.found;
        let found = found.as_mut().ok_or(Code::OPERATION_NOT_INITIALIZED)?;
        Ok(found.take(most).collect())
    }

    /// `C_FindObjectsFinal`
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn find_end(&self, session: SessionHandle) -> Result<()> {
        let mut table = self.table();
        match table.session(session)?.found.take() {
            Some(_) => Ok(()),
            None => Err(Code::OPERATION_NOT_INITIALIZED.into()),
        }
    }

    /// An object with these attributes, as far as it has them (`C_GetAttributeValue`).
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`, and as of [`Slot::objects`](crate::Slot::objects).
    pub fn object(
        &self,
        session: SessionHandle,
        handle: ObjectHandle,
        kinds: &[Kind],
    ) -> Result<Arc<Object>> {
        let desk = self.desk(session)?;
        self.seen_from(&desk, handle, kinds)
    }

    pub(super) fn seen_from(&self, desk: &Desk, handle: ObjectHandle, kinds: &[Kind]) -> Result<Arc<Object>> {
        let target = self.table().target(desk.slot, handle)?;
        let object = match target {
            Target::Session(_, _, object) => object,
            Target::Token(_, id) => self.on_token(desk, id, kinds)?,
        };
        if object.is_private() && !desk.is_user() {
            return Err(Code::OBJECT_HANDLE_INVALID.into());
        }
        Ok(object)
    }

    pub(super) fn on_token(&self, desk: &Desk, id: ObjectId, kinds: &[Kind]) -> Result<Arc<Object>> {
        let wanted = Wanted {
            only: Some(id),
            class: None,
            attributes: kinds.to_vec(),
            private: desk.is_user(),
        };
        let objects = self.noted(desk.slot, desk.device.objects(&wanted))?;
        objects
            .into_iter()
            .find(|object| object.id == id)
            .ok_or_else(|| Code::OBJECT_HANDLE_INVALID.into())
    }
}
