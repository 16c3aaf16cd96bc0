//! The docker driver by itself: shell scripts in containers of a real engine, no gateway.

mod adoption;
mod ends;
mod figures;
mod networks;
mod profile;
mod proxy;
mod saves;
mod server_artifact;
mod server_logs;
mod server_nginx;
mod server_ports;
mod server_profile;
mod server_restart;
mod stand;
mod starts;
