//! Virtual SmartCard-HSM, card side.
