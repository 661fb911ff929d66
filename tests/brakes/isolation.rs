//! What a template can reach, and what the server's process can.
