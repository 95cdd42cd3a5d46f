//! Slots, sessions and handles. Handles are never given out twice.

use std::{collections::BTreeMap, sync::Arc};

use super::{decrypt::Decryption, sign::Signing};
use crate::{
    error::{Code, Result},
    slot::{Object, ObjectId, Slot, User},
};

/// Number of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u64);

/// Handle of a session; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHandle(pub u64);

/// Handle of an object; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectHandle(pub u64);

#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Place>,
    sessions: BTreeMap<SessionHandle, Session>,
    by_object: BTreeMap<(SlotId, ObjectId), ObjectHandle>,
    by_handle: BTreeMap<ObjectHandle, Target>,
    last: u64,
}

struct Place {
    slot: Arc<dyn Slot>,
    listed: bool,
    login: Option<User>,
    /// Whether a token was there when somebody asked for changes.
    seen: bool,
}

pub(super) struct Session {
    pub(super) slot: SlotId,
    pub(super) write: bool,
    pub(super) found: Option<std::vec::IntoIter<ObjectHandle>>,
    pub(super) signing: Active<Signing>,
    pub(super) decryption: Active<Decryption>,
}

/// An operation of a session. It is taken out while its slot works on it, so that no lock is held.
#[derive(Default)]
pub(super) enum Active<T> {
    #[default]
    Nothing,
    Begun(T),
    /// A thread is at it.
    Busy,
}

/// What a handle stands for.
#[derive(Clone)]
pub(super) enum Target {
    Token(SlotId, ObjectId),
    Session(SessionHandle, SlotId, Arc<Object>),
}

impl Table {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn set_slots(&mut self, found: Vec<Arc<dyn Slot>>) {
        for place in &mut self.slots {
            place.listed = found.iter().any(|slot| Arc::ptr_eq(slot, &place.slot));
        }
        for slot in found {
            if !self.slots.iter().any(|place| Arc::ptr_eq(&place.slot, &slot)) {
                self.slots.push(Place {
                    slot,
                    listed: true,
                    login: None,
                    seen: false,
                });
            }
        }
    }

    pub(super) fn listed(&self) -> Vec<(SlotId, Arc<dyn Slot>)> {
        (0..)
            .map(SlotId)
            .zip(&self.slots)
            .filter(|(_, place)| place.listed)
            .map(|(id, place)| (id, Arc::clone(&place.slot)))
            .collect()
    }

    pub(super) fn slot(&self, id: SlotId) -> Result<Arc<dyn Slot>> {
        self.place(id).map(|place| Arc::clone(&place.slot))
    }

    pub(super) fn login(&self, id: SlotId) -> Option<User> {
        self.place(id).ok()?.login
    }

    pub(super) fn set_login(&mut self, id: SlotId, login: Option<User>) {
        if let Ok(place) = self.place_mut(id) {
            place.login = login;
        }
    }

    /// The first slot that is not as it was seen before, which is noted.
    pub(super) fn changed(&mut self, now: &[(SlotId, bool)]) -> Option<SlotId> {
        now.iter().copied().find_map(|(id, present)| {
            let place = self.place_mut(id).ok()?;
            (std::mem::replace(&mut place.seen, present) != present).then_some(id)
        })
    }

    pub(super) fn open(&mut self, slot: SlotId, write: bool) -> SessionHandle {
        let handle = SessionHandle(self.next());
        self.sessions.insert(
            handle,
            Session {
                slot,
                write,
                found: None,
                signing: Active::Nothing,
                decryption: Active::Nothing,
            },
        );
        handle
    }

    pub(super) fn session(&mut self, handle: SessionHandle) -> Result<&mut Session> {
        self.sessions
            .get_mut(&handle)
            .ok_or_else(|| Code::SESSION_HANDLE_INVALID.into())
    }

    /// Removes a session and its objects; the slot to log out of when it was the last one there.
    pub(super) fn remove_session(&mut self, handle: SessionHandle) -> Result<Option<Arc<dyn Slot>>> {
        let session = self
            .sessions
            .remove(&handle)
            .ok_or(Code::SESSION_HANDLE_INVALID)?;
        self.by_handle
            .retain(|_, target| !matches!(target, Target::Session(owner, ..) if *owner == handle));
        if self.count_sessions(session.slot).0 > 0 {
            return Ok(None);
        }
        self.forget_user(session.slot)
    }

    pub(super) fn remove_sessions(&mut self, slot: SlotId) -> Result<Option<Arc<dyn Slot>>> {
        self.place(slot)?;
        self.sessions.retain(|_, session| session.slot != slot);
        self.by_handle
            .retain(|_, target| !matches!(target, Target::Session(_, of, _) if *of == slot));
        self.forget_user(slot)
    }

    fn forget_user(&mut self, slot: SlotId) -> Result<Option<Arc<dyn Slot>>> {
        let place = self.place_mut(slot)?;
        let was = place.login.take();
        Ok(was.map(|_| Arc::clone(&place.slot)))
    }

    /// Open sessions in a slot, and how many of them may write.
    pub(super) fn count_sessions(&self, slot: SlotId) -> (usize, usize) {
        let of_slot = self.sessions.values().filter(|session| session.slot == slot);
        of_slot.fold((0, 0), |(all, writing), session| {
            (all + 1, writing + usize::from(session.write))
        })
    }

    /// Empties the table.
    pub(super) fn take_all(&mut self) -> Vec<Arc<dyn Slot>> {
        let all = std::mem::take(self);
        self.last = all.last;
        all.slots.into_iter().map(|place| place.slot).collect()
    }

    /// The handle of an object on a token, always the same.
    pub(super) fn handle_of(&mut self, slot: SlotId, object: ObjectId) -> ObjectHandle {
        if let Some(handle) = self.by_object.get(&(slot, object)) {
            return *handle;
        }
        let handle = ObjectHandle(self.next());
        self.by_object.insert((slot, object), handle);
        self.by_handle.insert(handle, Target::Token(slot, object));
        handle
    }

    pub(super) fn add_session_object(
        &mut self,
        session: SessionHandle,
        slot: SlotId,
        make: impl FnOnce(ObjectId) -> Object,
    ) -> ObjectHandle {
        let handle = ObjectHandle(self.next());
        let object = Arc::new(make(ObjectId(handle.0)));
        self.by_handle
            .insert(handle, Target::Session(session, slot, object));
        handle
    }

    /// What a handle stands for, seen from a slot.
    pub(super) fn target(&self, slot: SlotId, handle: ObjectHandle) -> Result<Target> {
        match self.by_handle.get(&handle) {
            Some(target @ (Target::Token(of, _) | Target::Session(_, of, _))) if *of == slot => {
                Ok(target.clone())
            }
            _ => Err(Code::OBJECT_HANDLE_INVALID.into()),
        }
    }

    pub(super) fn forget(&mut self, handle: ObjectHandle) {
        if let Some(Target::Token(slot, object)) = self.by_handle.remove(&handle) {
            self.by_object.remove(&(slot, object));
        }
    }

    pub(super) fn replace_session_object(&mut self, handle: ObjectHandle, new: Arc<Object>) {
        if let Some(Target::Session(_, _, object)) = self.by_handle.get_mut(&handle) {
            *object = new;
        }
    }

    pub(super) fn session_objects(&self, slot: SlotId) -> Vec<(ObjectHandle, Arc<Object>)> {
        let of_slot = |(handle, target): (&ObjectHandle, &Target)| match target {
            Target::Session(_, of, object) if *of == slot => Some((*handle, Arc::clone(object))),
            _ => None,
        };
        self.by_handle.iter().filter_map(of_slot).collect()
    }

    fn place(&self, id: SlotId) -> Result<&Place> {
        usize::try_from(id.0)
            .ok()
            .and_then(|index| self.slots.get(index))
            .ok_or_else(|| Code::SLOT_ID_INVALID.into())
    }

    fn place_mut(&mut self, id: SlotId) -> Result<&mut Place> {
        usize::try_from(id.0)
            .ok()
            .and_then(|index| self.slots.get_mut(index))
            .ok_or_else(|| Code::SLOT_ID_INVALID.into())
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl<T> Active<T> {
    /// Begins an operation.
    pub(super) fn begin(&mut self, operation: T) -> Result<()> {
        match self {
            Self::Nothing => {
                *self = Self::Begun(operation);
                Ok(())
            }
            Self::Begun(_) | Self::Busy => Err(Code::OPERATION_ACTIVE.into()),
        }
    }

    /// Whether one may begin.
    pub(super) fn is_free(&self) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Begun(_) | Self::Busy => Err(Code::OPERATION_ACTIVE.into()),
        }
    }

    pub(super) fn get(&self) -> Option<&T> {
        match self {
            Self::Begun(operation) => Some(operation),
            Self::Nothing | Self::Busy => None,
        }
    }

    /// Takes it out to work on it.
    pub(super) fn take(&mut self) -> Result<T> {
        match std::mem::replace(self, Self::Busy) {
            Self::Begun(operation) => Ok(operation),
            before => {
                *self = before;
                Err(match self {
                    Self::Busy => Code::OPERATION_ACTIVE,
                    _ => Code::OPERATION_NOT_INITIALIZED,
                }
                .into())
            }
        }
    }

    /// Puts it back, or ends it, unless it was cancelled meanwhile.
    pub(super) fn put(&mut self, operation: Option<T>) {
        if matches!(self, Self::Busy) {
            *self = operation.map_or(Self::Nothing, Self::Begun);
        }
    }
}
