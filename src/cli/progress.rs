//! How far a pass is: bars on a terminal, a line every half minute elsewhere.
