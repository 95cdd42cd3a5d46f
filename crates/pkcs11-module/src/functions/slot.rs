//! Slots and tokens.

use std::ffi::c_void;

use chancery_pkcs11_library::{Code, Offer, Pin, SlotId};
use cryptoki_sys as ck;

use super::general::{handle_for, number_of};
use crate::{
    guard::exported,
    instance,
    raw::{blank_padded, number},
};

exported! {
    /// `C_GetSlotList`
    fn C_GetSlotList(call, token_present: ck::CK_BBOOL, slots: *mut ck::CK_SLOT_ID, count: *mut ck::CK_ULONG) {
        let library = instance::library()?;
        call.get(count)?;
        let found: Vec<ck::CK_SLOT_ID> = library
            .slots(slots.is_null(), token_present != ck::CK_FALSE)
            .into_iter()
            .map(|slot| handle_for(slot.0))
            .collect();
        call.list(&found, slots, count)
    }

    /// `C_GetSlotInfo`
    fn C_GetSlotInfo(call, slot: ck::CK_SLOT_ID, info: *mut ck::CK_SLOT_INFO) {
        let library = instance::library()?;
        if info.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        let (slot, present) = library.slot_info(SlotId(number_of(slot)))?;
        let flag = |set: bool, flag| if set { flag } else { 0 };
        call.put(info, ck::CK_SLOT_INFO {
            slotDescription: blank_padded(&slot.description),
            manufacturerID: blank_padded(&slot.manufacturer),
            flags: flag(present, ck::CKF_TOKEN_PRESENT)
                | flag(slot.removable, ck::CKF_REMOVABLE_DEVICE)
                | flag(slot.hardware, ck::CKF_HW_SLOT),
            hardwareVersion: ck::CK_VERSION { major: 0, minor: 0 },
            firmwareVersion: ck::CK_VERSION { major: 0, minor: 0 },
        })
    }

    /// `C_GetTokenInfo`
    fn C_GetTokenInfo(call, slot: ck::CK_SLOT_ID, info: *mut ck::CK_TOKEN_INFO) {
        let library = instance::library()?;
        if info.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        let found = library.token_info(SlotId(number_of(slot)))?;
        let token = found.token;
        let firmware = ck::CK_VERSION { major: token.firmware.0, minor: token.firmware.1 };
        call.put(info, ck::CK_TOKEN_INFO {
            label: blank_padded(&token.label),
            manufacturerID: blank_padded(&token.manufacturer),
            model: blank_padded(&token.model),
            serialNumber: blank_padded(&token.serial),
            flags: token.flags,
            ulMaxSessionCount: ck::CK_EFFECTIVELY_INFINITE,
            ulSessionCount: number(found.sessions),
            ulMaxRwSessionCount: ck::CK_EFFECTIVELY_INFINITE,
            ulRwSessionCount: number(found.writing_sessions),
            ulMaxPinLen: token.pin_length.1,
            ulMinPinLen: token.pin_length.0,
            ulTotalPublicMemory: ck::CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: ck::CK_UNAVAILABLE_INFORMATION,
            ulTotalPrivateMemory: ck::CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: ck::CK_UNAVAILABLE_INFORMATION,
            hardwareVersion: ck::CK_VERSION { major: 0, minor: 0 },
            firmwareVersion: firmware,
            utcTime: blank_padded(""),
        })
    }

    /// `C_WaitForSlotEvent`: without waiting only.
    fn C_WaitForSlotEvent(call, flags: ck::CK_FLAGS, slot: *mut ck::CK_SLOT_ID, reserved: *mut c_void) {
        let library = instance::library()?;
        if slot.is_null() || !reserved.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        if flags & ck::CKF_DONT_BLOCK == 0 {
            return Err(Code::FUNCTION_NOT_SUPPORTED.into());
        }
        let changed = library.slot_event().ok_or(Code::NO_EVENT)?;
        call.put(slot, handle_for(changed.0))
    }

    /// `C_GetMechanismList`
    fn C_GetMechanismList(
        call,
        slot: ck::CK_SLOT_ID,
        mechanisms: *mut ck::CK_MECHANISM_TYPE,
        count: *mut ck::CK_ULONG,
    ) {
        let offers = instance::library()?.mechanisms(SlotId(number_of(slot)))?;
        let kinds: Vec<ck::CK_MECHANISM_TYPE> = offers.iter().map(|offer| offer.kind).collect();
        call.list(&kinds, mechanisms, count)
    }

    /// `C_GetMechanismInfo`
    fn C_GetMechanismInfo(
        call,
        slot: ck::CK_SLOT_ID,
        mechanism: ck::CK_MECHANISM_TYPE,
        info: *mut ck::CK_MECHANISM_INFO,
    ) {
        let offers = instance::library()?.mechanisms(SlotId(number_of(slot)))?;
        let offer: &Offer = offers
            .iter()
            .find(|offer| offer.kind == mechanism)
            .ok_or(Code::MECHANISM_INVALID)?;
        call.put(info, ck::CK_MECHANISM_INFO {
            ulMinKeySize: offer.least,
            ulMaxKeySize: offer.most,
            flags: offer.flags,
        })
    }

    /// `C_InitPIN`
    fn C_InitPIN(call, session: ck::CK_SESSION_HANDLE, pin: *mut ck::CK_UTF8CHAR, length: ck::CK_ULONG) {
        let library = instance::library()?;
        let pin = Pin::new(call.slice(pin, length)?);
        library.init_pin(chancery_pkcs11_library::SessionHandle(number_of(session)), &pin)
    }

    /// `C_SetPIN`
    fn C_SetPIN(
        call,
        session: ck::CK_SESSION_HANDLE,
        old: *mut ck::CK_UTF8CHAR,
        old_length: ck::CK_ULONG,
        new: *mut ck::CK_UTF8CHAR,
        new_length: ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        let old = Pin::new(call.slice(old, old_length)?);
        let new = Pin::new(call.slice(new, new_length)?);
        library.set_pin(chancery_pkcs11_library::SessionHandle(number_of(session)), &old, &new)
    }
}
