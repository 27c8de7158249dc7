// The rendered list of messages: one element per message, reused while the message exists, and day separators. Also tracks
// the scroll position, the tab's visibility, and the number of unseen messages. bubble.js renders single messages.

import { Bubble } from "./bubble.js";
import { count, dayKey, dayName } from "./strings.js";

const GROUP_MS = 5 * 60_000;
const NEAR_END_PX = 80;
const NEAR_START_PX = 60;
const ANNOUNCED_MAX = 5;

const byId = (id) => document.getElementById(id);

export class View {
  #log = byId("log");
  #list = byId("messages");
  #earlier = byId("load-earlier");
  #latestButton = byId("new-messages");
  #nodes = new Map();
  #actions;
  #source;
  #isAtEnd = true;
  #seenId;
  #scheduled;
  #title = document.title;

  constructor(actions) {
    this.#actions = actions;
    this.#log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#earlier.addEventListener("click", () => this.#actions.loadEarlier());
    this.#latestButton.addEventListener("click", async () => {
      await this.#actions.jumpToLatest();
      this.scrollToEnd();
      this.#actions.focusComposer();
    });
    document.addEventListener("visibilitychange", () => this.schedule());
    // Keeps the end visible when the window shrinks, the composer grows, or an editor opens.
    const resized = new ResizeObserver(() => this.#isAtEnd && this.scrollToEnd());
    resized.observe(this.#log);
    resized.observe(this.#list);
  }

  set title(title) {
    this.#title = title;
    this.#updateUnseen();
  }

  /** Renders another source, `{feed, outgoing, can}`, from scratch; `null` for none. */
  attach(source) {
    this.#source = source;
    this.#seenId = undefined;
    this.#isAtEnd = true;
    this.render();
  }

  /** Schedules a render: many events at once share one. */
  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => {
      this.#scheduled = false;
      this.render();
    };
    if (document.hidden) setTimeout(draw, 200);
    else requestAnimationFrame(draw);
  }

  render() {
    const { feed, outgoing, can } = this.#source ?? {};
    const messages = feed?.messages;
    const anchor = this.#isAtEnd ? null : this.#anchor();
    this.#renderList(messages?.all ?? [], outgoing?.pending ?? [], can ?? {});
    const isEmpty = !messages?.all.length && !outgoing?.hasUnsent;
    byId("empty").hidden = !isEmpty || !this.#source?.isLoaded;
    byId("log-start").hidden = isEmpty || messages.hasEarlier || !this.#source.isLoaded;
    const hadFocus = document.activeElement === this.#earlier;
    this.#earlier.hidden = !messages?.hasEarlier;
    if (hadFocus && this.#earlier.hidden) this.#log.focus();
    if (anchor) this.#log.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top;
    else this.scrollToEnd();
    this.#updateUnseen();
  }

  scrollToEnd() {
    this.#isAtEnd = true;
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** Opens the editor of the user's last message. Returns whether there is one. */
  editLast() {
    const last = this.#source?.feed.messages.all.findLast((message) => message.own);
    const bubble = last && this.#nodes.get(last.viewKey)?.bubble;
    if (!bubble?.edit()) return false;
    bubble.element.scrollIntoView({ block: "nearest" });
    return true;
  }

  #renderList(messages, pending, can) {
    const lines = [];
    let before;
    for (const message of messages) {
      const isOwn = message.own ?? message.viewKey.startsWith("out-");
      const day = dayKey(message.created);
      const line = { message, isOwn, day, at: message.created, by: isOwn ? "" : `by ${message.name}` };
      if (before?.day !== day) lines.push({ key: `day ${day}`, at: message.created });
      lines.push({ ...line, key: message.viewKey, continues: continues(before, line) });
      before = line;
    }
    for (const entry of pending) {
      const line = { entry, day: dayKey(entry.created), at: entry.created, by: "" };
      lines.push({ ...line, key: entry.viewKey, continues: continues(before, line) });
      before = line;
    }

    const kept = new Set(lines.map((line) => line.key));
    const added = lines.filter((line) => !this.#nodes.has(line.key)).length;
    if (added > ANNOUNCED_MAX) this.#muteAnnouncements();
    for (const [key, node] of this.#nodes) if (!kept.has(key)) this.#removeNode(key, node);
    let next = this.#list.firstElementChild;
    for (const line of lines) {
      const node = this.#nodes.get(line.key) ?? this.#createNode(line, added > ANNOUNCED_MAX);
      if (line.message) node.bubble.render(line.message, { ...line, can });
      else if (line.entry) node.bubble.renderOutgoing(line.entry, line);
      else this.#renderDay(node, line);
      if (node.element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(node.element, next);
    }
  }

  #createNode(line, isBulk) {
    const bubble = line.day ? new Bubble(this.#actions) : undefined;
    const element = bubble?.element ?? byId("day-template").content.firstElementChild.cloneNode(true);
    element.classList.toggle("arriving", Boolean(bubble) && !isBulk);
    const node = { bubble, element };
    this.#nodes.set(line.key, node);
    return node;
  }

  #renderDay(node, { at }) {
    const time = node.element.firstElementChild;
    time.dateTime = dayKey(at);
    time.textContent = dayName(at);
  }

  #removeNode(key, { bubble, element }) {
    const hadFocus = element.contains(document.activeElement);
    const draft = bubble?.draft;
    element.remove();
    this.#nodes.delete(key);
    if (draft) this.#actions.keepDraft(draft);
    else if (hadFocus) this.#actions.focusComposer();
  }

  /** A page of history is not news: screen readers should not announce it. */
  #muteAnnouncements() {
    this.#log.setAttribute("aria-live", "off");
    setTimeout(() => this.#log.setAttribute("aria-live", "polite"), 1000);
  }

  /** The first visible message and its position, so that it can stay there while the list changes above it. */
  #anchor() {
    const { top } = this.#log.getBoundingClientRect();
    for (const node of this.#list.children) {
      const box = node.getBoundingClientRect();
      if (box.bottom > top && node.dataset.id) return { node, top: box.top };
    }
    return null;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.#updateUnseen();
    if (scrollTop < NEAR_START_PX && !this.#isAtEnd && !this.#earlier.hidden) this.#actions.loadEarlier();
  }

  #updateUnseen() {
    const messages = this.#source?.feed.messages;
    const isReading = this.#isAtEnd && !document.hidden && !messages?.isDetached;
    if (isReading || this.#seenId === undefined) this.#seenId = messages?.newestId ?? (this.#source?.isLoaded ? 0 : undefined);
    const unseen = messages?.all.filter(({ id, own }) => id > this.#seenId && own === false).length ?? 0;
    const newCount = unseen + (messages?.missed ?? 0);
    const isElsewhere = !this.#isAtEnd || messages?.isDetached;
    this.#latestButton.hidden = !isElsewhere || (newCount === 0 && !messages?.isDetached);
    const text = newCount ? count(newCount, "new message", "new messages") : "Back to the latest";
    if (this.#latestButton.textContent !== text) this.#latestButton.textContent = text;
    document.title = document.hidden && newCount ? `(${newCount}) ${this.#title}` : this.#title;
  }
}

/** Returns whether a message continues the previous one: same person, same day, within `GROUP_MS`. */
function continues(before, line) {
  return before !== undefined && before.by === line.by && before.day === line.day && line.at - before.at < GROUP_MS;
}
