//! Key domains, and groups of tokens that agree: what a token has, what is refused, and the token pulled at every command.

mod agreeing;
mod changing;
mod interrupted;
mod members;
