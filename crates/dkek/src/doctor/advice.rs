//! What can be done about a key that is wrong.

/// For a token whose DKEK is wrong but known.
#[must_use]
pub fn for_a_wrong_key() -> &'static [&'static str] {
    &[
        "The token's DKEK is known now: write it to a share file of its own (--mend), and open that one with any tool from then on.",
        "Keys wrapped under it are good: they need a token that was given the mended file, not the old one.",
        "Later, move to a new DKEK: initialise a new token, unwrap what must stay there under the mended file, generate the rest anew.",
    ]
}

/// For a token whose DKEK nobody knows.
#[must_use]
pub fn for_a_lost_key() -> &'static [&'static str] {
    &[
        "Perhaps this is not this token's share file, or not the right password: look for another file or password first, and see whether \
         the KCV of its key is the token's (chancery dkek inspect FILE). Nothing is lost while one may exist.",
        "Do not initialise the token, and keep its PIN: if no other file exists, its DKEK exists nowhere else. What follows is for that.",
        "Whoever remembers or noted what was typed at the import: --as-typed computes the key that was really imported from it.",
        "Keys can still be wrapped out, but only under this DKEK: such a file comes back to this token and to one that was given the \
         same shares in the same wrong way, to no other. It is no backup.",
        "While the token lives: make a new share file, initialise a second token with it, generate new keys there, have certificates \
         issued for them, sign with the old keys what has to name the new ones, and decrypt what was encrypted to the old ones.",
        "Only then is the old token to be given up; revoke its certificates before, while it can still sign for that.",
    ]
}

/// For a token whose DKEK is all zeros.
#[must_use]
pub fn for_a_zero_key() -> &'static [&'static str] {
    &[
        "Perhaps this is not the token or the key domain that is meant: see with chancery token info which KCV it has. No share file made \
         for it fits a key of zeros.",
        "If it is: this DKEK is no secret, so whoever has a key wrapped under it has the key. Destroy such files, and revoke what they hold.",
        "If no key on the token is needed, initialise it (chancery token init), which erases its keys, and import each share once.",
        "Otherwise initialise a second token, import each share once there, generate new keys, and have certificates issued for them, \
         before the old token is given up.",
    ]
}
