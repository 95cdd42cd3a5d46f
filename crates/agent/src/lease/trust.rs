//! What a custodian should know before agreeing, in short.

use chancery_api::Extent;

/// The trust statements that apply to a lease.
pub(super) fn statements(node_enforced: bool, extent: &Extent, virtual_hsm: bool) -> Vec<&'static str> {
    let mut lines = vec![
        "An HSM that a quorum opened is open for ALL its keys until it is locked: the quorum is enforced by the HSM, this lease by \
         the node. Your answer to the HSM's challenge is not bound to the lease by the HSM.",
    ];
    if node_enforced {
        lines.push(
            "An HSM of this lease IS OPEN ALREADY: this time the node counts the custodians, not the HSM. \
             chancery unlock request --strict locks it first.",
        );
    }
    lines.push(
        "Your second signature, over this text and the audit log, shows later what you agreed to. It cannot prevent that whoever owns \
         the node has other things signed meanwhile.",
    );
    lines.push(
        "While the HSM is open, the machine that holds its reader can use every key, unseen by the node.",
    );
    lines.push(match extent {
        Extent::Manifest { .. } => {
            "Whoever controls the requester's machine can have these digests signed and no others: look where the list comes from."
        }
        Extent::Named { .. } | Extent::Count { .. } => {
            "Whoever controls the requester's machine can spend the digests that are not named here on anything. Only a list of \
             digests fixed elsewhere prevents that."
        }
    });
    if virtual_hsm {
        lines.push("An HSM of this lease is a virtual token: its keys are on a disk, not in hardware.");
    }
    lines
}
