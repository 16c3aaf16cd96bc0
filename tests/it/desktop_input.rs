//! The injector against a real Xvfb, seen by a client as a game sees it.

use playgate::runner::desktop::inject::Injector;
use playgate::runner::desktop::pads::PadMap;
use playgate::runner::desktop::supervise::{House, HouseSpec};
use playgate::runner::desktop::x;
use playgate_signaling::input::{InputFrame, PadState, TouchPhase};
use playgate_signaling::message::PointerMode;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ConnectionExt, CreateWindowAux, EventMask, InputFocus, KeyButMask, MapState, Mapping, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

const WIDTH: u16 = 640;
const HEIGHT: u16 = 400;
const SOON: Duration = Duration::from_secs(20);

/// What a game notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Key { keysym: u32, down: bool },
    Button { button: u8, down: bool, x: i16, y: i16 },
    Motion { x: i16, y: i16 },
}

/// A window over the whole screen that has the focus.
struct Client {
    connection: RustConnection,
    root: Window,
    keysyms: Vec<u32>,
    per_key: usize,
}

impl Client {
    fn open(house: &House) -> Self {
        let (connection, screen) = x::connect(&house.display, Some(&house.authority)).expect("connects");
        let screen = &connection.setup().roots[screen];
        let (root, visual) = (screen.root, screen.root_visual);
        let window = connection.generate_id().expect("id");
        let mask = EventMask::KEY_PRESS
            | EventMask::KEY_RELEASE
            | EventMask::BUTTON_PRESS
            | EventMask::BUTTON_RELEASE
            | EventMask::POINTER_MOTION;
        let aux = CreateWindowAux::new().event_mask(mask).override_redirect(1);
        connection
            .create_window(0, window, root, 0, 0, WIDTH, HEIGHT, 0, WindowClass::INPUT_OUTPUT, visual, &aux)
            .expect("sent")
            .check()
            .expect("made");
        connection.map_window(window).expect("sent").check().expect("mapped");
        let viewable =
            connection.get_window_attributes(window).expect("sent").reply().expect("reply").map_state;
        assert_eq!(viewable, MapState::VIEWABLE);
        connection.set_input_focus(InputFocus::NONE, window, 0_u32).expect("sent").check().expect("focused");
        let mut client = Self { connection, root, keysyms: Vec::new(), per_key: 1 };
        client.read_keyboard();
        client
    }

    fn read_keyboard(&mut self) {
        let setup = self.connection.setup();
        let count = setup.max_keycode - setup.min_keycode + 1;
        let reply = self.connection.get_keyboard_mapping(setup.min_keycode, count).expect("sent");
        let reply = reply.reply().expect("reply");
        (self.per_key, self.keysyms) = (usize::from(reply.keysyms_per_keycode), reply.keysyms);
    }

    fn keysym(&self, keycode: u8, state: KeyButMask) -> u32 {
        let level = usize::from(state.contains(KeyButMask::SHIFT));
        let key = usize::from(keycode - self.connection.setup().min_keycode);
        self.keysyms[key * self.per_key + level]
    }

    /// The next thing a game would notice.
    fn next(&mut self) -> Seen {
        self.next_by(Instant::now() + SOON).expect("something arrives")
    }

    fn next_by(&mut self, deadline: Instant) -> Option<Seen> {
        loop {
            match self.connection.poll_for_event().expect("the server lives") {
                Some(Event::KeyPress(event)) => {
                    let keysym = self.keysym(event.detail, event.state);
                    return Some(Seen::Key { keysym, down: true });
                }
                Some(Event::KeyRelease(event)) => {
                    let keysym = self.keysym(event.detail, event.state);
                    return Some(Seen::Key { keysym, down: false });
                }
                Some(Event::ButtonPress(event)) => {
                    let (button, x, y) = (event.detail, event.root_x, event.root_y);
                    return Some(Seen::Button { button, down: true, x, y });
                }
                Some(Event::ButtonRelease(event)) => {
                    let (button, x, y) = (event.detail, event.root_x, event.root_y);
                    return Some(Seen::Button { button, down: false, x, y });
                }
                Some(Event::MotionNotify(event)) => {
                    return Some(Seen::Motion { x: event.root_x, y: event.root_y });
                }
                Some(Event::MappingNotify(event)) => {
                    if event.request == Mapping::KEYBOARD {
                        self.read_keyboard();
                    }
                }
                Some(_) => {}
                None if Instant::now() >= deadline => return None,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// The next `count`, without the motions between them.
    fn presses(&mut self, count: usize) -> Vec<Seen> {
        let mut out = Vec::new();
        while out.len() < count {
            match self.next() {
                Seen::Motion { .. } => {}
                seen @ (Seen::Key { .. } | Seen::Button { .. }) => out.push(seen),
            }
        }
        out
    }

    fn pointer(&self) -> (i16, i16) {
        let reply = self.connection.query_pointer(self.root).expect("sent").reply().expect("reply");
        (reply.root_x, reply.root_y)
    }

    /// Another connection's requests are done when the server gets to them.
    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Keys that are down at the server.
    fn keys_down(&self) -> usize {
        let keys = self.connection.query_keymap().expect("sent").reply().expect("reply").keys;
        keys.iter().map(|byte| usize::try_from(byte.count_ones()).expect("small")).sum()
    }
}

struct Stand {
    house: House,
    client: Client,
    injector: Injector,
    _directory: TempDir,
}

async fn stand(pads: &[(&str, &str)]) -> Stand {
    let directory = tempfile::tempdir().expect("directory");
    let spec = HouseSpec {
        command: vec!["true".into()],
        width: WIDTH.into(),
        height: HEIGHT.into(),
        runtime_dir: directory.path().join("run"),
        home: directory.path().to_owned(),
    };
    let house = House::open(spec).await.expect("opens");
    let client = Client::open(&house);
    let names: BTreeMap<String, String> =
        pads.iter().map(|(control, key)| ((*control).to_owned(), (*key).to_owned())).collect();
    let pads = PadMap::new(&names).expect("a good map");
    let injector =
        Injector::connect(&house.display, Some(&house.authority), WIDTH.into(), HEIGHT.into(), pads)
            .expect("connects");
    Stand { house, client, injector, _directory: directory }
}

impl Stand {
    fn apply(&mut self, slot: u8, frame: InputFrame) {
        self.injector.apply(slot, &frame).expect("the server lives");
    }

    fn key(&mut self, slot: u8, usage: u16, down: bool) {
        self.apply(slot, InputFrame::Key { usage, down });
    }
}

fn key(keysym: u32, down: bool) -> Seen {
    Seen::Key { keysym, down }
}

fn button(number: u8, down: bool, x: i16, y: i16) -> Seen {
    Seen::Button { button: number, down, x, y }
}

#[tokio::test]
async fn keys_arrive_as_what_they_are() {
    let mut stand = stand(&[]).await;
    // A, Escape, Up, Left Ctrl, keypad Enter, F12, Right Alt.
    for (usage, keysym) in [
        (0x04, 0x61),
        (0x29, 0xFF1B),
        (0x52, 0xFF52),
        (0xE0, 0xFFE3),
        (0x58, 0xFF8D),
        (0x45, 0xFFC9),
        (0xE6, 0xFFEA),
    ] {
        stand.key(0, usage, true);
        stand.key(0, usage, false);
        assert_eq!(stand.client.presses(2), [key(keysym, true), key(keysym, false)], "{usage:#x}");
    }
    stand.key(0, 0x1234, true);
    stand.key(0, 0xE1, true);
    stand.key(0, 0x04, true);
    assert_eq!(stand.client.presses(2), [key(0xFFE1, true), key(0x41, true)], "Shift and A");
    stand.house.close().await;
}

#[tokio::test]
async fn text_of_any_script_is_typed() {
    let mut stand = stand(&[]).await;
    let text = "aB! äÄ€日本語\n";
    stand.apply(0, InputFrame::Text(text.to_owned()));
    let mut typed = String::new();
    while typed.chars().count() < text.chars().count() {
        let Seen::Key { keysym, down: true } = stand.client.next() else { continue };
        let character = match keysym {
            0xFFE1 => continue,
            0xFF0D => '\n',
            0x0100_0000.. => char::from_u32(keysym - 0x0100_0000).expect("a character"),
            latin => char::from_u32(latin).expect("a character"),
        };
        typed.push(character);
    }
    assert_eq!(typed, text);
    stand.client.until("every key is up", |client| client.keys_down() == 0);
    assert_eq!(stand.injector.untyped(), 0);
    stand.house.close().await;
}

#[tokio::test]
async fn text_of_more_characters_than_there_are_spare_keys_arrives_whole() {
    let mut stand = stand(&[]).await;
    let text: Vec<char> = (0..80).filter_map(|index| char::from_u32(0x4E00 + index)).collect();
    for part in text.chunks(10) {
        stand.apply(0, InputFrame::Text(part.iter().collect()));
        let presses = stand.client.presses(2 * part.len());
        let typed: Vec<char> = presses
            .into_iter()
            .filter_map(|seen| match seen {
                Seen::Key { keysym, down: true } => char::from_u32(keysym.wrapping_sub(0x0100_0000)),
                Seen::Key { .. } | Seen::Button { .. } | Seen::Motion { .. } => None,
            })
            .collect();
        assert_eq!(typed, part);
    }
    stand.house.close().await;
}

#[tokio::test]
async fn text_does_not_let_go_of_a_key_that_is_held() {
    let mut stand = stand(&[]).await;
    stand.key(0, 0x1A, true);
    assert_eq!(stand.client.presses(1), [key(0x77, true)]);
    stand.apply(0, InputFrame::Text("w".to_owned()));
    assert_eq!(stand.client.presses(2), [key(0x77, true), key(0x77, false)], "by another key");
    assert_eq!(stand.client.keys_down(), 1);
    stand.key(0, 0x1A, false);
    assert_eq!(stand.client.presses(1), [key(0x77, false)]);
    stand.house.close().await;
}

#[tokio::test]
async fn a_held_key_repeats_by_itself_and_ends_with_its_release() {
    let mut stand = stand(&[]).await;
    stand.key(0, 0x04, true);
    // The server repeats a key as a release and a press.
    assert!(stand.client.presses(5).iter().all(|seen| matches!(seen, Seen::Key { keysym: 0x61, .. })));
    stand.key(0, 0x04, false);
    stand.client.until("the key is up", |client| client.keys_down() == 0);
    stand.house.close().await;
}

#[tokio::test]
async fn a_key_of_two_players_is_held_until_both_let_go_and_release_all_lets_go_of_ones_own() {
    let mut stand = stand(&[]).await;
    // Modifiers do not repeat, so that what is counted is what was done.
    stand.key(0, 0xE0, true);
    stand.key(1, 0xE0, true);
    stand.key(1, 0xE1, true);
    assert_eq!(stand.client.presses(2), [key(0xFFE3, true), key(0xFFE1, true)]);
    stand.apply(1, InputFrame::ReleaseAll);
    let seen = stand.client.presses(1);
    assert!(matches!(seen[0], Seen::Key { down: false, .. }));
    assert_eq!(stand.client.keys_down(), 1);
    stand.key(0, 0xE0, false);
    assert_eq!(stand.client.presses(1), [key(0xFFE3, false)]);
    stand.key(0, 0xE0, true);
    stand.apply(0, InputFrame::Button { button: 0, down: true, x: 0, y: 0 });
    stand.injector.release_all().expect("lives");
    stand.client.until("every key is up", |client| client.keys_down() == 0);
    let seen = stand.client.presses(4);
    assert!(seen.contains(&button(1, false, 0, 0)), "{seen:?}");
    stand.house.close().await;
}

#[tokio::test]
async fn the_pointer_goes_where_it_is_told_and_buttons_are_pressed_there() {
    let mut stand = stand(&[]).await;
    stand.apply(0, InputFrame::PointerMove { sequence: 1, x: 32768, y: 65535 });
    assert_eq!(stand.client.next(), Seen::Motion { x: 320, y: 399 });
    for (wire, number) in [(0, 1), (1, 2), (2, 3), (3, 8), (4, 9)] {
        stand.apply(0, InputFrame::Button { button: wire, down: true, x: 6554, y: 0 });
        stand.apply(0, InputFrame::Button { button: wire, down: false, x: 0, y: 0 });
        assert_eq!(stand.client.presses(2), [button(number, true, 64, 0), button(number, false, 0, 0)]);
    }
    stand.house.close().await;
}

#[tokio::test]
async fn a_relative_pointer_moves_by_pixels_and_its_buttons_do_not_jerk_it() {
    let mut stand = stand(&[]).await;
    stand.injector.set_pointer(PointerMode::Relative);
    let (x, y) = stand.client.pointer();
    stand.apply(0, InputFrame::Button { button: 0, down: true, x: 1000, y: 1000 });
    assert_eq!(stand.client.presses(1), [button(1, true, x, y)]);
    for _ in 0..10 {
        stand.apply(0, InputFrame::PointerDelta { dx: 9, dy: -4 });
    }
    stand.client.until("moved without acceleration", |client| client.pointer() == (x + 90, y - 40));
    stand.apply(0, InputFrame::Button { button: 0, down: false, x: 1000, y: 1000 });
    assert_eq!(stand.client.presses(1), [button(1, false, x + 90, y - 40)]);
    stand.house.close().await;
}

#[tokio::test]
async fn the_wheel_clicks_once_a_notch_in_four_directions() {
    let mut stand = stand(&[]).await;
    for (dx, dy, number) in [(0, -120, 4), (0, 120, 5), (-120, 0, 6), (120, 0, 7)] {
        stand.apply(0, InputFrame::Wheel { dx: dx / 2, dy: dy / 2 });
        stand.apply(0, InputFrame::Wheel { dx: dx / 2, dy: dy / 2 });
        let (x, y) = stand.client.pointer();
        assert_eq!(stand.client.presses(2), [button(number, true, x, y), button(number, false, x, y)]);
    }
    stand.house.close().await;
}

#[tokio::test]
async fn the_first_finger_is_the_mouse_and_the_second_is_not() {
    let mut stand = stand(&[]).await;
    let touch = |contact, phase, x| InputFrame::Touch { contact, phase, x, y: 0 };
    stand.apply(0, touch(0, TouchPhase::Start, 6554));
    stand.apply(0, touch(1, TouchPhase::Start, 65535));
    stand.apply(0, touch(1, TouchPhase::Move, 60000));
    stand.apply(0, touch(0, TouchPhase::Move, 32768));
    stand.apply(0, touch(1, TouchPhase::End, 65535));
    stand.apply(0, touch(0, TouchPhase::End, 32768));
    stand.apply(0, touch(2, TouchPhase::Start, 0));
    stand.apply(0, touch(2, TouchPhase::Cancel, 50000));
    let expected =
        [button(1, true, 64, 0), button(1, false, 320, 0), button(1, true, 0, 0), button(1, false, 0, 0)];
    assert_eq!(stand.client.presses(4), expected);
    stand.house.close().await;
}

#[tokio::test]
async fn a_pad_presses_the_keys_of_its_map_and_moves_the_mouse() {
    let map =
        [("a", "ControlLeft"), ("left", "ShiftLeft"), ("rt", "mouse-left"), ("right-stick", "mouse-move")];
    let mut stand = stand(&map).await;
    let state = |state: PadState| InputFrame::Pad { sequence: 0, state };
    stand.apply(0, InputFrame::PadPresence { pad: 0, connected: true });
    stand.apply(0, state(PadState { buttons: 1, axes: [-30_000, 0, 0, 0], ..PadState::default() }));
    assert_eq!(stand.client.presses(2), [key(0xFFE3, true), key(0xFFE1, true)]);
    let (x, y) = stand.client.pointer();
    stand.apply(0, state(PadState { triggers: [0, 255], ..PadState::default() }));
    let seen = stand.client.presses(3);
    assert_eq!(seen[2], button(1, true, x, y));
    assert!(seen[..2].iter().all(|seen| matches!(seen, Seen::Key { down: false, .. })), "{seen:?}");
    stand.apply(0, InputFrame::PadPresence { pad: 0, connected: false });
    assert_eq!(stand.client.presses(1), [button(1, false, x, y)]);
    stand.apply(0, state(PadState { axes: [0, 0, 32_767, 0], ..PadState::default() }));
    let begun = Instant::now();
    let mut due = stand.injector.tick(begun).expect("lives").expect("a stick is held");
    for _ in 0..5 {
        due = stand.injector.tick(due).expect("lives").expect("a stick is held");
    }
    stand.client.until("the stick moved it", |client| client.pointer().0 > x && client.pointer().1 == y);
    stand.apply(0, InputFrame::ReleaseAll);
    assert_eq!(stand.injector.tick(due).expect("lives"), None);
    stand.house.close().await;
}

#[tokio::test]
async fn an_injector_without_its_server_says_so() {
    let mut stand = stand(&[]).await;
    stand.house.close().await;
    let mut failed = None;
    for _ in 0..10 {
        failed = failed.or(stand.injector.apply(0, &InputFrame::PointerDelta { dx: 1, dy: 1 }).err());
    }
    let error = failed.expect("it notices").to_string();
    assert!(error.starts_with("the X server is gone"), "{error}");
}
