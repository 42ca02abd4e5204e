//! The source systems' endpoints: their clients, commands and payloads work here unchanged.
//!
//! | call | system | request | answer | where |
//! |---|---|---|---|---|
//! | `GET /` | E | | service information as JSON; the page for browsers | `http::page` |
//! | `POST /emoji`, `POST /send-emoji` | E, D | `{"user_id","emoji_type","timestamp"}`, all required | 200 `{"status":"Emoji received","message_id"}`; 400 names the field | [`taps`] |
//! | `POST /emojis` | B | `{"emoji","user_id"?}` | 200 `{"status":"queued","message_id"}` | [`taps`] |
//! | `GET /health` | E | | `{"status","kafka_connected","buffer_size"}` | `http::health` |
//! | `POST /login` | A | `{"username","password"}` | 200 `{"token"}`; 401 | [`login`] |
//! | `POST /login` | B | `{"name","password","device_id"?}` | 200 `{"token","tier","cluster":{"name","url"},"ticket"}`; 401; 409 `{"error","devices"}`; 503 with `Retry-After` | [`login`] |
//! | `POST /register` | B | `{"name","tier","password"}` | 201 `{"name","tier"}`; 409 where the name is taken | [`register`] |
//! | `GET`, `PUT /settings/threshold` | A | `{"threshold"}`, with a token | the same; `PUT` selects the plain rule | [`settings`] |
//! | `GET`, `PUT /settings/interval` | A | `{"interval"}`, with a token | the same; `PUT` selects the plain rule | [`settings`] |
//! | `GET /settings/allowed-emotes` | A | a token | the allowed, `[{"emote"}]` | [`settings`] |
//! | `PUT /settings/allowed-emotes` | A | those to change, `[{"emote","isAllowed"}]`, with a token | all, in the same form | [`settings`] |
//! | WebSocket on `/` or `/ws` | A | no ticket | each message of the topic: moments `{"emote","count","timestamp"}`, or with `websocket_bridge.source = "raw"` reactions `{"emote","timestamp"}` | [`bridge`] |
//! | `POST /register` | D | `{"client_id","client_url"?}` | 200 `{"subscriber","cluster","capacity"}`; 503 with `Retry-After` `{"error","capacity"}` where no place is free | [`register`], [`subscribers`] |
//! | `POST /deregister` | D | `{"client_id"}` | 200; 404 for who is not registered | [`subscribers`] |
//! | `GET /notify-client?client_id=` | D | | server-sent events, a line `{"emoji_type","count","shown","window_start"}` a window and emote; the same is posted to a `client_url` | [`subscribers`] |
//! | WebSocket on `/?ticket=` of an edge | B | the ticket of its login | `{"emoji","count","shown","window_start"}` a window and emote | `cluster_socket` |
//! | console | E | | one line for each final window | [`console`] |
//!
//! All of them speak to one channel, `compat.channel`. Where two systems share a path, the body's fields decide. Errors are
//! `{"error"}`. Times without a zone are UTC; emotes are emoji, `happy`, `sad` or shortcodes; fields that are not asked
//! for are ignored.

mod body;
pub mod bridge;
mod cluster_socket;
pub mod console;
pub mod documents;
mod follower;
pub mod login;
pub mod register;
pub mod settings;
mod stay;
pub mod subscribers;
pub mod taps;
pub mod windows;
