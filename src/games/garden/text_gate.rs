//! The words of the gate, the garden and the gardener.

use super::story::{Choice, Page, Scene, Then, flag};

pub(super) const PAGES: &[Page] = &[
    Page {
        id: "gate-1",
        scene: Scene::Gate,
        text: "The notary gave you two things: a key as long as your hand, and one line in your grandmother’s \
               writing. The garden opens once. Go at dusk, and go alone.",
        then: Then::To("gate-2"),
    },
    Page {
        id: "gate-2",
        scene: Scene::Gate,
        text: "You remember the wall, but never a gate. It stands where the pear tree used to lean, and its \
               iron is warm, as if somebody had only just let go of it.",
        then: Then::To("gate-3"),
    },
    Page {
        id: "gate-3",
        scene: Scene::Gate,
        text: "Eleven winters ago your brother Tomas asked you to come to the station in the morning. You did \
               not go. His one letter has lain unopened in your coat ever since.",
        then: Then::To("gate-4"),
    },
    Page {
        id: "gate-4",
        scene: Scene::Gate,
        text: "A lantern hangs from the bars, a card tied to its handle: One hand for the gate. One hand for \
               what you cannot leave behind.",
        then: Then::Choose(&[
            Choice {
                label: "Take the lantern; leave the letter in the wall",
                to: "lamp",
                sets: flag::LANTERN,
                needs: 0,
                without: 0,
            },
            Choice {
                label: "Keep the letter; go in by the last of the light",
                to: "seal",
                sets: 0,
                needs: 0,
                without: 0,
            },
        ]),
    },
    Page {
        id: "lamp",
        scene: Scene::Gate,
        text: "You slide the letter between two stones, where the wind will not read it. The lantern lights \
               itself at your touch: small, gold, in no hurry.",
        then: Then::To("garden-1"),
    },
    Page {
        id: "seal",
        scene: Scene::Gate,
        text: "You leave the lantern swinging. The letter lies against your ribs and weighs what it has always \
               weighed, which is nothing, all day long.",
        then: Then::To("garden-1"),
    },
    Page {
        id: "garden-1",
        scene: Scene::Garden,
        text: "Inside, the path divides. Then each half divides again. The gravel has been raked, and across \
               it runs one line of footprints, forking wherever the paths fork.",
        then: Then::To("garden-2"),
    },
    Page {
        id: "garden-2",
        scene: Scene::Garden,
        text: "An old man is tying roses to a trellis. “Every path you did not take goes on without you,” he \
               says, not turning round. “We only keep it weeded.”",
        then: Then::To("garden-3"),
    },
    Page {
        id: "garden-3",
        scene: Scene::Garden,
        text: "“When the moon stands on the tower, this is a garden like any other. See the house of books, or \
               the court of water. No one has had time for both.”",
        then: Then::Choose(&[
            TO_BOOKS,
            TO_WATER,
            Choice {
                label: "Ask the gardener his name",
                to: "ask-1",
                sets: flag::ASKED,
                needs: 0,
                without: 0,
            },
        ]),
    },
    Page {
        id: "ask-1",
        scene: Scene::Garden,
        text: "He has to think. “Anselm, once. The last who asked me was a girl of nine with mud on her \
               shoes.” He ties a knot. “She stayed for sixty years. You have her hands.”",
        then: Then::To("ask-2"),
    },
    Page {
        id: "ask-2",
        scene: Scene::Garden,
        text: "“I am older than my roses now,” says Anselm, “and they have noticed. Well. There is the house \
               of books, and there is the court of water. Choose, while there is moon to do it by.”",
        then: Then::Choose(&[TO_BOOKS, TO_WATER]),
    },
];

const TO_BOOKS: Choice =
    Choice { label: "Go to the house of books", to: "library-1", sets: 0, needs: 0, without: 0 };
const TO_WATER: Choice =
    Choice { label: "Go to the court of water", to: "court-1", sets: 0, needs: 0, without: 0 };
