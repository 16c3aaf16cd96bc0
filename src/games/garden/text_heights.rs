//! The words of the last fork, the tower and the river.

use super::story::{Choice, Page, Scene, Then, flag};

pub(super) const PAGES: &[Page] = &[
    Page {
        id: "fork-1",
        scene: Scene::Fork,
        text: "When you come out, the moon has cleared the cypresses. The footprints in the gravel divide one \
               last time. One line climbs to the tower; one goes down to the river.",
        then: Then::Depends(&[
            (flag::NAMELESS, "fork-nameless"),
            (flag::READ, "fork-read"),
            (0, "fork-plain"),
        ]),
    },
    Page {
        id: "fork-nameless",
        scene: Scene::Fork,
        text: "A night bird calls a name. It may be yours. It passes low overhead, from tree to tree, looking \
               for its owner.",
        then: Then::To("fork-2"),
    },
    Page {
        id: "fork-read",
        scene: Scene::Fork,
        text: "You keep hearing pages turn. It is only the poplars, going over the same line again and again, \
               as one does who is tired, or does not want it to end.",
        then: Then::To("fork-2"),
    },
    Page {
        id: "fork-plain",
        scene: Scene::Fork,
        text: "Nothing has been explained to you. It is surprising how little you mind. The night smells of \
               box hedge and far-off rain, and your feet seem to know something.",
        then: Then::To("fork-2"),
    },
    Page {
        id: "fork-2",
        scene: Scene::Fork,
        text: "Behind you a rake goes through the gravel, unhurried. Wherever you have been is being made \
               ready for someone else.",
        then: Then::Choose(&[
            Choice { label: "Climb to the tower", to: "tower-1", sets: 0, needs: 0, without: 0 },
            Choice { label: "Go down to the river", to: "river-1", sets: 0, needs: 0, without: 0 },
        ]),
    },
    Page {
        id: "tower-1",
        scene: Scene::Tower,
        text: "The stair turns left until you lose count, then right until you lose that too. On the last \
               step someone has left a chair, a bell rope and a jar of seed.",
        then: Then::To("tower-2"),
    },
    Page {
        id: "tower-2",
        scene: Scene::Tower,
        text: "From here you see all of it: paths like the veins of a leaf, and on each a small walker, with \
               a light or without one. Every one of them is you. None of them is lost.",
        then: Then::To("tower-3"),
    },
    Page {
        id: "tower-3",
        scene: Scene::Tower,
        text: "Beyond the wall a lit train draws its thread across the dark. It is eleven years late, or it \
               is exactly on time.",
        then: Then::Depends(&[(flag::LANTERN, "tower-lamp"), (0, "tower-seal")]),
    },
    Page {
        id: "tower-lamp",
        scene: Scene::Tower,
        text: "Your lantern burns straight up, no taller than a thumb. Down on the paths the walkers have \
               stopped, one after another, and turned their faces to it.",
        then: Then::Choose(&[
            RING,
            Choice {
                label: "Hang the lantern in the arch, and leave it",
                to: "light-1",
                sets: 0,
                needs: 0,
                without: 0,
            },
            SEED,
        ]),
    },
    Page {
        id: "tower-seal",
        scene: Scene::Tower,
        text: "The letter has come unstuck in the warmth of the climb. It would take no more than a thumb. \
               Down on the paths the walkers have stopped, and every one has turned round.",
        then: Then::Choose(&[
            RING,
            Choice { label: "Open the letter", to: "letter-1", sets: 0, needs: 0, without: 0 },
            SEED,
        ]),
    },
    Page {
        id: "river-1",
        scene: Scene::River,
        text: "The river is the one thing in the garden that does not fork. A boat is tied to a post by a \
               rope so old that it has put out leaves.",
        then: Then::To("river-2"),
    },
    Page {
        id: "river-2",
        scene: Scene::River,
        text: "On the far bank stand a clock, one lamp and a bench. Someone sits there beside a suitcase with \
               his back to you, as people sit who have decided to wait.",
        then: Then::Depends(&[(flag::KNOWS, "river-knows"), (0, "river-wide")]),
    },
    Page {
        id: "river-knows",
        scene: Scene::River,
        text: "You know now what there was to hear that morning. It has made the water narrower.",
        then: Then::Choose(RIVER),
    },
    Page {
        id: "river-wide",
        scene: Scene::River,
        text: "You do not know what you would say. The river is wide with it.",
        then: Then::Choose(RIVER),
    },
];

const RING: Choice =
    Choice { label: "Ring the bell, and call them all home", to: "bell-1", sets: 0, needs: 0, without: 0 };
const SEED: Choice = Choice {
    label: "Take the jar of seed down to Anselm",
    to: "keeper-1",
    sets: 0,
    needs: flag::ASKED,
    without: 0,
};
const RIVER: &[Choice] = &[
    Choice {
        label: "Set the lantern in the bow, and cross",
        to: "cross-1",
        sets: 0,
        needs: flag::LANTERN,
        without: 0,
    },
    Choice {
        label: "Fold the letter into a boat, and let it go",
        to: "paper-1",
        sets: 0,
        needs: 0,
        without: flag::LANTERN,
    },
    Choice { label: "Leave the river, and go home by the gate", to: "home-1", sets: 0, needs: 0, without: 0 },
];
