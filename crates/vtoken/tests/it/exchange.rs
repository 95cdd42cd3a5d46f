//! Exchange key domains: groups, membership, agreement, and what must not leave a group.

mod agreement;
mod group;
mod membership;
