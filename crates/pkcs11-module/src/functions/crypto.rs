//! Keys at work.

use chancery_pkcs11_library::{Code, ObjectHandle, Output, Room, SessionHandle};
use cryptoki_sys as ck;

use super::general::{handle_for, number_of};
use crate::{guard::exported, instance, raw::number};

exported! {
    /// `C_SignInit`
    fn C_SignInit(call, session: ck::CK_SESSION_HANDLE, mechanism: *mut ck::CK_MECHANISM, key: ck::CK_OBJECT_HANDLE) {
        let library = instance::library()?;
        let session = SessionHandle(number_of(session));
        match call.mechanism(mechanism)? {
            Some(mechanism) => library.sign_begin(session, &mechanism, ObjectHandle(number_of(key))),
            None => library.sign_cancel(session),
        }
    }

    /// `C_Sign`
    fn C_Sign(
        call,
        session: ck::CK_SESSION_HANDLE,
        data: *mut ck::CK_BYTE,
        data_length: ck::CK_ULONG,
        signature: *mut ck::CK_BYTE,
        length: *mut ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let data = call.slice(data, data_length)?;
        let room = call.room(signature, length)?;
        let output = library.sign(SessionHandle(number_of(session)), data, room)?;
        call.deliver(&output, signature, length)
    }

    /// `C_SignUpdate`
    fn C_SignUpdate(call, session: ck::CK_SESSION_HANDLE, part: *mut ck::CK_BYTE, length: ck::CK_ULONG) {
        let library = instance::library()?;
        let part = call.slice(part, length)?;
        library.sign_update(SessionHandle(number_of(session)), part)
    }

    /// `C_SignFinal`
    fn C_SignFinal(
        call,
        session: ck::CK_SESSION_HANDLE,
        signature: *mut ck::CK_BYTE,
        length: *mut ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let room = call.room(signature, length)?;
        let output = library.sign_end(SessionHandle(number_of(session)), room)?;
        call.deliver(&output, signature, length)
    }

    /// `C_DecryptInit`
    fn C_DecryptInit(
        call,
        session: ck::CK_SESSION_HANDLE,
        mechanism: *mut ck::CK_MECHANISM,
        key: ck::CK_OBJECT_HANDLE,
    ) {
        let library = instance::library()?;
        let session = SessionHandle(number_of(session));
        match call.mechanism(mechanism)? {
            Some(mechanism) => library.decrypt_begin(session, &mechanism, ObjectHandle(number_of(key))),
            None => library.decrypt_cancel(session),
        }
    }

    /// `C_Decrypt`
    fn C_Decrypt(
        call,
        session: ck::CK_SESSION_HANDLE,
        cryptogram: *mut ck::CK_BYTE,
        cryptogram_length: ck::CK_ULONG,
        data: *mut ck::CK_BYTE,
        length: *mut ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let cryptogram = call.slice(cryptogram, cryptogram_length)?;
        let room = call.room(data, length)?;
        let output = library.decrypt(SessionHandle(number_of(session)), cryptogram, room)?;
        call.deliver(&output, data, length)
    }

    /// `C_DecryptUpdate`
    fn C_DecryptUpdate(
        call,
        session: ck::CK_SESSION_HANDLE,
        part: *mut ck::CK_BYTE,
        part_length: ck::CK_ULONG,
        data: *mut ck::CK_BYTE,
        length: *mut ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let part = call.slice(part, part_length)?;
        // Who asks for the length of the output brings the part again.
        if call.room(data, length)? != Room::Query {
            library.decrypt_update(SessionHandle(number_of(session)), part)?;
        } else {
            library.session_info(SessionHandle(number_of(session)))?;
        }
        call.put(length, number(0))
    }

    /// `C_DecryptFinal`
    fn C_DecryptFinal(call, session: ck::CK_SESSION_HANDLE, data: *mut ck::CK_BYTE, length: *mut ck::CK_ULONG) {
        let library = instance::library()?;
        let room = call.room(data, length)?;
        let output: Output = library.decrypt_end(SessionHandle(number_of(session)), room)?;
        call.deliver(&output, data, length)
    }

    /// `C_GenerateKeyPair`
    fn C_GenerateKeyPair(
        call,
        session: ck::CK_SESSION_HANDLE,
        mechanism: *mut ck::CK_MECHANISM,
        public: *mut ck::CK_ATTRIBUTE,
        public_count: ck::CK_ULONG,
        private: *mut ck::CK_ATTRIBUTE,
        private_count: ck::CK_ULONG,
        public_key: *mut ck::CK_OBJECT_HANDLE,
        private_key: *mut ck::CK_OBJECT_HANDLE,
    ) {
        let library = instance::library()?;
        if public_key.is_null() || private_key.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        let mechanism = call.mechanism(mechanism)?.ok_or(Code::ARGUMENTS_BAD)?;
        let public = call.template(public, public_count)?;
        let private = call.template(private, private_count)?;
        let session = SessionHandle(number_of(session));
        let (made_public, made_private) = library.generate_key_pair(session, &mechanism, &public, &private)?;
        call.put(public_key, handle_for(made_public.0))?;
        call.put(private_key, handle_for(made_private.0))
    }

    /// `C_DeriveKey`
    fn C_DeriveKey(
        call,
        session: ck::CK_SESSION_HANDLE,
        mechanism: *mut ck::CK_MECHANISM,
        base: ck::CK_OBJECT_HANDLE,
        template: *mut ck::CK_ATTRIBUTE,
        count: ck::CK_ULONG,
        key: *mut ck::CK_OBJECT_HANDLE,
    ) {
        let library = instance::library()?;
        if key.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        let mechanism = call.mechanism(mechanism)?.ok_or(Code::ARGUMENTS_BAD)?;
        let template = call.template(template, count)?;
        let base = ObjectHandle(number_of(base));
        let derived = library.derive_key(SessionHandle(number_of(session)), &mechanism, base, &template)?;
        call.put(key, handle_for(derived.0))
    }
}
