//! What the camera costs: measurements for a release build on a quiet machine.

use super::super::super::super::pictures::Pictures;
use super::*;
use crate::games::Rect;
use std::convert::Infallible;

/// CPU of camera and X server, percent of a core, and how evenly pictures come: standard deviation in milliseconds.
fn measure(what: &str, size: (u16, u16), draw: impl Fn(&Painter, u64) + Send + 'static) {
    let display = Display::start(size);
    let camera = display.camera();
    let server = format!("/proc/{}/schedstat", display.server.id());
    let painting = display.paints(draw);
    camera.frame();
    let (drawn, before, start) = (painting.drawn.load(Ordering::Relaxed), cpu(&server), Instant::now());
    let (mut taken, mut last, mut gaps) = (0_u32, None, Vec::new());
    while start.elapsed() < Duration::from_secs(10) {
        let frame = camera.frame();
        taken += 1;
        gaps.extend(last.replace(frame.at).map(|last| (frame.at - last).as_secs_f64() * 1e3));
    }
    let (seconds, drawn) = (start.elapsed().as_secs_f64(), painting.drawn.load(Ordering::Relaxed) - drawn);
    let server = cpu(&server) - before;
    drop(painting);
    let camera = camera.end();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand pictures")]
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand pictures")]
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    let percent = |nanoseconds: u64| nanoseconds as f64 / seconds / 1e7;
    println!(
        "{what}: camera {:.1} %, X server {:.1} %, taken {taken} of {drawn}, deviation {deviation:.2} ms",
        percent(camera),
        percent(server)
    );
}

#[test]
#[ignore = "a measurement: release build, quiet machine"]
fn what_the_camera_costs() {
    let hd = (1280, 720);
    measure("the whole screen, one request", hd, Painter::whole);
    measure("the whole screen, sixteen requests", hd, Painter::in_bands);
    measure("two corners", hd, Painter::corners);
    measure("the whole screen at 1920x1080", (1920, 1080), Painter::whole);
}
/// CPU of each stage of one picture of the whole screen.
#[test]
#[ignore = "a measurement: release build, quiet machine"]
fn what_each_stage_costs() {
    const TIMES: u64 = 500;
    let display = Display::start((1280, 720));
    let painter = Painter::new(display.connect(), display.size);
    painter.whole(20);
    painter.conn.sync().expect("draws");
    let mut screen = display.screen();
    let whole = screen.clip(&Damage::of(screen.whole()));
    let mut picture = I420::new(1280, 720);
    let shot = screen.look(&whole).expect("looks").expect("is there");
    let server = format!("/proc/{}/schedstat", display.server.id());
    let stage = |what: &str, of_server: bool, run: &mut dyn FnMut()| {
        let before = (own_cpu(), cpu(&server));
        (0..TIMES).for_each(|_| run());
        let (own, server) = (own_cpu() - before.0, cpu(&server) - before.1);
        println!("{what}: {} us", if of_server { server } else { own } / TIMES / 1000);
    };
    stage("the X server's copy into shared memory", true, &mut || {
        screen.look(&whole).expect("looks");
    });
    stage("a look, but for that", false, &mut || {
        screen.look(&whole).expect("looks");
    });
    let bgrx = vec![77; 1280 * 12 * 4];
    stage("conversion", false, &mut || {
        for band in 0..60 {
            picture.update_bgrx(&bgrx, Rect { x: 0, y: band * 12, width: 1280, height: 12 });
        }
    });
    stage("the copy out of shared memory, and conversion", false, &mut || {
        screen.convert(&shot, &mut picture).expect("converts");
    });
    let mut pictures = Pictures::new(1280, 720);
    stage("handing a picture over", false, &mut || {
        pictures.draw(&whole, |_| Ok::<_, Infallible>(())).expect("draws");
    });
}
