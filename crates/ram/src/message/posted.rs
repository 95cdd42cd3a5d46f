//! What a server finds in a POST.

use super::{Initiation, MessageError, ResponseTemplate, tag};

/// The body of a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// The first of a session.
    Initiation(Initiation),
    /// Every later one.
    Response(ResponseTemplate),
}

impl Posted {
    /// Reads the body of a POST.
    ///
    /// # Errors
    /// [`MessageError`] when it is neither of the two.
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        match body.first() {
            Some(&tag::INITIATION) => Initiation::parse(body).map(Self::Initiation),
            Some(&tag::RESPONSES) => ResponseTemplate::parse(body).map(Self::Response),
            Some(&found) => Err(MessageError::Unexpected { found }),
            None => Err(MessageError::Empty),
        }
    }
}
