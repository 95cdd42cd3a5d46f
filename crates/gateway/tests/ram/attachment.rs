//! What our agent, as its owner runs it, is given: a token, the ticket, and what the owner allows.

use std::sync::Mutex;

use chancery_api::SecretText;
use chancery_connect::{Attachment, Policy, TakeError, Taken};
use chancery_vtoken::VirtualToken;

use crate::server::TICKET;

/// This token, which is taken once.
pub(crate) fn attachment(token: VirtualToken, policy: Policy) -> Attachment {
    let token = Mutex::new(Some(token));
    let source = move || -> Result<Taken, TakeError> {
        let token = token.lock().unwrap().take().unwrap();
        Ok(Taken {
            atr: token.atr().to_vec(),
            transport: Box::new(token),
            called: "the token".to_owned(),
            device: None,
        })
    };
    Attachment::new(source)
        .with_ticket(SecretText::new(TICKET.to_owned()))
        .with_policy(policy)
}
