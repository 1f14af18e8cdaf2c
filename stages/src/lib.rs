//! The Step contract, the ports, and one folder per stage in install order.
