"""Writes a story, word by word, for its owner to read while it is written."""

from __future__ import annotations

import asyncio
import random
import re
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, StringConstraints

from queued_jobs import JobContext, JobRunner, RetryPolicy
from queued_jobs.push.view import Public

#: The topic of the words.
STORY = "story"
#: A `{name}` is replaced by one of the phrases of this name.
GRAMMAR: dict[str, tuple[str, ...]] = {
    "sentence": (
        "{hero} {did} {thing} {place}.",
        "{when}, {hero} {did} {thing}.",
        "{place}, {hero} {did} {thing}, and {hero} did not notice.",
        "It was {hero} who {did} {thing}, and all of them talked about {subject}.",
        "Without {subject}, {hero} would not have come {place}.",
    ),
    "hero": ("the fox", "a tired baker", "the youngest of the sailors", "an old clock", "the postman", "a small cloud"),
    "did": ("found", "lost", "painted", "borrowed", "counted", "hid", "returned"),
    "thing": ("a silver key", "seven letters", "the last lantern", "a map without names", "a stranger's umbrella"),
    "place": ("behind the mill", "on the pier", "under the stairs", "in the market", "beyond the river"),
    "when": ("In the morning", "Years later", "After the rain", "At midnight", "On a Tuesday"),
}


class StoryRequest(Public):
    model_config = ConfigDict(extra="forbid", strict=True)

    subject: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] = "the sea"
    sentences: Annotated[int, Field(ge=1, le=200)] = 12


class StoryResult(Public):
    words: int
    #: The whole story.
    text: str


class StoryWriter(JobRunner[StoryRequest, StoryResult]):
    """Emits each word when it is written. The same request always gives the same story.

    An interrupted story is resumed after the last sentence that was saved: a worker that is lost between two saves
    costs at most one sentence, whose words are then written again.
    """

    kind = "story-writer"
    queue = "story-writer"
    retry = RetryPolicy(max_attempts=3)
    #: How long a word takes.
    pause: ClassVar[timedelta] = timedelta(milliseconds=60)

    @classmethod
    def label(cls, request: StoryRequest) -> str:
        return f"Story about {request.subject}"

    async def on_execute(self, request: StoryRequest, ctx: JobContext[StoryResult]) -> StoryResult:
        story = [sentence.split() for sentence in write_story(request)]
        written = ctx.cursor or 0
        ctx.log(f"resuming after {written} sentences" if written else f"writing {len(story)} sentences")
        for number, sentence in enumerate(story[written:], written + 1):
            for word in sentence:
                await ctx.emit(STORY, f"{word} ")
                await asyncio.sleep(self.pause.total_seconds())
            await ctx.save(number)
            ctx.report(number / len(story), f"{number} of {len(story)} sentences")
        ctx.log("the end")
        return StoryResult(words=sum(map(len, story)), text=" ".join(word for sentence in story for word in sentence))


def write_story(request: StoryRequest) -> list[str]:
    """Return the sentences of the story of this request."""
    dice = random.Random(f"{request.subject}\n{request.sentences}")  # noqa: S311 (repeatable, not secret)
    phrases = {"subject": request.subject}
    story = [f"Once upon a time there was {request.subject}."]
    while len(story) < request.sentences:
        form = dice.choice(GRAMMAR["sentence"])
        text = re.sub(r"\{(\w+)\}", lambda name: phrases.get(name[1]) or dice.choice(GRAMMAR[name[1]]), form)
        story.append(text[0].upper() + text[1:])
    return story
