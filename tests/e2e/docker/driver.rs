//! The docker driver by itself: shell scripts in containers of a real engine, no gateway.

mod adoption;
mod ends;
mod figures;
mod networks;
mod profile;
mod proxy;
mod saves;
mod stand;
mod starts;
