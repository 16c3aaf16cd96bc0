//! The words of the seven endings.

use super::story::{Ending, Page, Scene, Then, flag};

pub(super) const PAGES: &[Page] = &[
    Page {
        id: "bell-1",
        scene: Scene::Tower,
        text: "You pull. The sound goes out over the hedges in a ring, and every walker in the garden looks \
               up, and turns, and begins to come toward the tower.",
        then: Then::To("bell-2"),
    },
    Page {
        id: "bell-2",
        scene: Scene::Tower,
        text: "They climb the stair one by one and pass into you, each with a little mud on the shoes: the one \
               who ran for the train, the one who missed it, the one who never heard of it.",
        then: Then::To("bell-3"),
    },
    Page {
        id: "bell-3",
        scene: Scene::Dawn,
        text: "At sunrise one person walks out of the gate, rather crowded, entirely calm, and asks the first \
               stranger on the road when the next train leaves.",
        then: Then::End(Ending::Bell),
    },
    Page {
        id: "letter-1",
        scene: Scene::Tower,
        text: "Four lines, in pencil, written on a knee. I have your seat. It faces forward, the way you \
               like. If not this train, then some other. They do go every day.",
        then: Then::Depends(&[(flag::KNOWS, "letter-knows"), (0, "letter-plain")]),
    },
    Page {
        id: "letter-knows",
        scene: Scene::Tower,
        text: "You laugh aloud, because you knew it; or somebody did, on some other path, and took the \
               trouble to come and tell you.",
        then: Then::To("letter-2"),
    },
    Page {
        id: "letter-plain",
        scene: Scene::Tower,
        text: "Eleven winters you carried it like a door about to slam. And it was only this: a seat, a \
               window, a timetable.",
        then: Then::To("letter-2"),
    },
    Page {
        id: "letter-2",
        scene: Scene::Dawn,
        text: "The gate stands open, and the light on the road is the colour of pears. It is a quarter past \
               five. If you walk quickly there is even time to tie your laces.",
        then: Then::End(Ending::WindowSeat),
    },
    Page {
        id: "keeper-1",
        scene: Scene::Garden,
        text: "He is asleep against the trellis with the string still in his fingers. You set the jar down by \
               his hand. He does not open his eyes. “The rake is by the wall,” he says.",
        then: Then::To("keeper-2"),
    },
    Page {
        id: "keeper-2",
        scene: Scene::Garden,
        text: "You rake. It is not difficult, only endless. Wherever somebody turned left you smooth the \
               gravel on the right, and wish them well, and water the roses.",
        then: Then::Depends(&[(flag::NAMELESS, "keeper-nameless"), (0, "keeper-named")]),
    },
    Page {
        id: "keeper-nameless",
        scene: Scene::Garden,
        text: "Years go by, or an evening does. A child with mud on her shoes asks what you are called. You \
               tell her you gave it to the water. She nods, and goes to fetch it.",
        then: Then::End(Ending::Keeper),
    },
    Page {
        id: "keeper-named",
        scene: Scene::Garden,
        text: "Years go by, or an evening does. A child with mud on her shoes asks you your name. You have to \
               think. It comes to you at last, like something seen from a train.",
        then: Then::End(Ending::Keeper),
    },
    Page {
        id: "light-1",
        scene: Scene::Tower,
        text: "You hang it where it can be seen from every path, and go down in the dark with one hand on the \
               wall. You are not afraid. You know by now how the stair goes.",
        then: Then::To("light-2"),
    },
    Page {
        id: "light-2",
        scene: Scene::Fork,
        text: "All over the garden they walk on: the brave ones, the late ones, the ones with somebody on \
               their arm. Each of them steers by it a little, and does not know why.",
        then: Then::To("light-3"),
    },
    Page {
        id: "light-3",
        scene: Scene::Dawn,
        text: "In the morning there is a field, a wall, a fallen pear tree. The letter is still between its \
               stones. You sit down in the grass with the whole day before you, and open it.",
        then: Then::End(Ending::LightLeftOn),
    },
    Page {
        id: "paper-1",
        scene: Scene::River,
        text: "It was never opened, and now it is a boat: two folds, four folds, the way he taught you on the \
               kitchen floor. It takes to the water without a sound.",
        then: Then::To("paper-2"),
    },
    Page {
        id: "paper-2",
        scene: Scene::River,
        text: "It crosses slowly, turning, down the one white street the moon has laid. On the far bank he \
               stoops, lifts it out, shakes off the drops, and unfolds it under the lamp.",
        then: Then::To("paper-3"),
    },
    Page {
        id: "paper-3",
        scene: Scene::River,
        text: "Then he laughs. It reaches you over the whole width of the water, late, as light comes from \
               stars. You stay until the moon is gone, and take it home with you.",
        then: Then::End(Ending::PaperBoat),
    },
    Page {
        id: "cross-1",
        scene: Scene::River,
        text: "The rope lets go as if you had asked it politely. You do not row. The lantern draws the boat \
               across, the way a needle draws its thread.",
        then: Then::Depends(&[(flag::NAMELESS, "cross-nameless"), (0, "cross-named")]),
    },
    Page {
        id: "cross-nameless",
        scene: Scene::River,
        text: "He looks round. You open your mouth to say who you are, and nothing is there. “Well,” says \
               Tomas, and tries a few on you, gently, like hats, until one of them fits.",
        then: Then::To("cross-2"),
    },
    Page {
        id: "cross-named",
        scene: Scene::River,
        text: "He looks round, and says your name in the old way, leaning on the wrong half of it. Nobody has \
               said it wrong for eleven years.",
        then: Then::To("cross-2"),
    },
    Page {
        id: "cross-2",
        scene: Scene::River,
        text: "“You took your time,” he says, and moves the suitcase. There is room on the bench. Down the \
               line a signal goes from red to green, and neither of you gets up just yet.",
        then: Then::End(Ending::OtherBank),
    },
    Page {
        id: "home-1",
        scene: Scene::Garden,
        text: "You go back the way you came, which is no longer there, and so you make it up as you walk. The \
               gate is open. The key has gone to rust in your hand.",
        then: Then::Depends(&[(flag::LANTERN, "home-lamp"), (0, "home-seal")]),
    },
    Page {
        id: "home-lamp",
        scene: Scene::Dawn,
        text: "The letter is where you left it, a little damp. You do not open it yet. But you carry it home \
               in your hand, not in your coat, and the lantern lights the road all the way.",
        then: Then::End(Ending::OrdinaryMorning),
    },
    Page {
        id: "home-seal",
        scene: Scene::Dawn,
        text: "A field, a wall, a pear tree somebody has propped with a plank. You take out the letter in the \
               first light. Tomorrow, you tell it; and for the first time you mean it.",
        then: Then::End(Ending::OrdinaryMorning),
    },
];
