//! ISO/IEC 7816-4 command and response APDUs and BER-TLV; pure, no I/O.
