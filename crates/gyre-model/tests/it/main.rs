//! The client against servers over real sockets: good ones, and hostile ones.

mod answers;
mod checks;
mod conversations;
mod failures;
mod load;
mod recording;
mod server;
mod serving;
mod wire;
