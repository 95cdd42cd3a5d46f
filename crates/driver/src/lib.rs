//! SmartCard-HSM driver, host side.
