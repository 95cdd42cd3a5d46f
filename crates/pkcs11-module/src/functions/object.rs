//! Objects.

use chancery_pkcs11_library::{Code, Object, ObjectHandle, Result, SessionHandle, Value};
use cryptoki_sys as ck;

use super::general::{handle_for, number_of};
use crate::{
    guard::exported,
    instance,
    raw::{Call, number},
};

exported! {
    /// `C_CreateObject`
    fn C_CreateObject(
        call,
        session: ck::CK_SESSION_HANDLE,
        template: *mut ck::CK_ATTRIBUTE,
        count: ck::CK_ULONG,
        object: *mut ck::CK_OBJECT_HANDLE,
    ) {
        let library = instance::library()?;
        if object.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        let template = call.template(template, count)?;
        let created = library.create_object(SessionHandle(number_of(session)), &template)?;
        call.put(object, handle_for(created.0))
    }

    /// `C_DestroyObject`
    fn C_DestroyObject(call, session: ck::CK_SESSION_HANDLE, object: ck::CK_OBJECT_HANDLE) {
        let object = ObjectHandle(number_of(object));
        instance::library()?.destroy_object(SessionHandle(number_of(session)), object)
    }

    /// `C_GetObjectSize`
    fn C_GetObjectSize(
        call,
        session: ck::CK_SESSION_HANDLE,
        object: ck::CK_OBJECT_HANDLE,
        size: *mut ck::CK_ULONG,
    ) {
        let object = ObjectHandle(number_of(object));
        let found = instance::library()?.object_size(SessionHandle(number_of(session)), object)?;
        call.put(size, found)
    }

    /// `C_GetAttributeValue`
    fn C_GetAttributeValue(
        call,
        session: ck::CK_SESSION_HANDLE,
        object: ck::CK_OBJECT_HANDLE,
        template: *mut ck::CK_ATTRIBUTE,
        count: ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let blank = call.blank(template, count)?;
        let kinds: Vec<_> = blank.iter().map(|attribute| attribute.type_).collect();
        let object = ObjectHandle(number_of(object));
        let found = library.object(SessionHandle(number_of(session)), object, &kinds)?;
        // All are filled in, whatever is wrong with one of them.
        let mut outcome = Ok(());
        for attribute in blank {
            let filled = fill(&call, &found, attribute);
            outcome = outcome.and(filled);
        }
        outcome
    }

    /// `C_SetAttributeValue`
    fn C_SetAttributeValue(
        call,
        session: ck::CK_SESSION_HANDLE,
        object: ck::CK_OBJECT_HANDLE,
        template: *mut ck::CK_ATTRIBUTE,
        count: ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let template = call.template(template, count)?;
        let object = ObjectHandle(number_of(object));
        library.change_object(SessionHandle(number_of(session)), object, &template)
    }

    /// `C_FindObjectsInit`
    fn C_FindObjectsInit(
        call,
        session: ck::CK_SESSION_HANDLE,
        template: *mut ck::CK_ATTRIBUTE,
        count: ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let template = call.template(template, count)?;
        library.find_begin(SessionHandle(number_of(session)), &template)
    }

    /// `C_FindObjects`
    fn C_FindObjects(
        call,
        session: ck::CK_SESSION_HANDLE,
        objects: *mut ck::CK_OBJECT_HANDLE,
        most: ck::CK_ULONG,
        count: *mut ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if count.is_null() || (objects.is_null() && most > 0) {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        let found: Vec<ck::CK_OBJECT_HANDLE> = library
            .find_next(SessionHandle(number_of(session)), most)?
            .into_iter()
            .map(|object| handle_for(object.0))
            .collect();
        call.slice_mut(objects, found.len())?.copy_from_slice(&found);
        call.put(count, number(found.len()))
    }

    /// `C_FindObjectsFinal`
    fn C_FindObjectsFinal(call, session: ck::CK_SESSION_HANDLE) {
        instance::library()?.find_end(SessionHandle(number_of(session)))
    }
}

/// Fills in one attribute (PKCS#11 3.1, 5.7.5).
fn fill(call: &Call, object: &Object, attribute: &mut ck::CK_ATTRIBUTE) -> Result<()> {
    let room = usize::try_from(attribute.ulValueLen).unwrap_or(usize::MAX);
    let is_blank = attribute.pValue.is_null();
    attribute.ulValueLen = ck::CK_UNAVAILABLE_INFORMATION;
    let bytes = match object.attributes.get(attribute.type_) {
        None => return Err(Code::ATTRIBUTE_TYPE_INVALID.into()),
        Some(Value::Sensitive) => return Err(Code::ATTRIBUTE_SENSITIVE.into()),
        Some(Value::Bytes(bytes)) => bytes,
    };
    if !is_blank {
        if room < bytes.len() {
            return Err(Code::BUFFER_TOO_SMALL.into());
        }
        call.slice_mut(attribute.pValue.cast::<u8>(), bytes.len())?
            .copy_from_slice(bytes);
    }
    attribute.ulValueLen = number(bytes.len());
    Ok(())
}
