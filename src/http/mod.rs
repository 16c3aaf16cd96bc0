//! Routers of the Sessions API, auth, pages and health; turns errors into statuses. Decides nothing about a session.
