// The rendered list of messages: one element per message, reused while the message exists, and day separators. Also tracks
// the scroll position, the tab's visibility, and the number of unseen messages. bubble.js renders single messages.

import { Bubble } from "./bubble.js";
import { count, dayKey, dayName } from "./words.js";

const GROUP_MS = 5 * 60_000;
const NEAR_END_PX = 80;
const NEAR_START_PX = 60;
const ANNOUNCED_MAX = 5;

const find = (id) => document.getElementById(id);

export class View {
  #log = find("log");
  #list = find("messages");
  #earlier = find("load-earlier");
  #news = find("new-messages");
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
    this.#news.addEventListener("click", async () => {
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
    this.#countNews();
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
    this.#draw(messages?.all ?? [], outgoing?.waiting ?? [], can ?? {});
    const isEmpty = !messages?.all.length && !outgoing?.hasUnsent;
    find("empty").hidden = !isEmpty || !this.#source?.isRead;
    find("log-start").hidden = isEmpty || messages.hasEarlier || !this.#source.isRead;
    const hadFocus = document.activeElement === this.#earlier;
    this.#earlier.hidden = !messages?.hasEarlier;
    if (hadFocus && this.#earlier.hidden) this.#log.focus();
    if (anchor) this.#log.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top;
    else this.scrollToEnd();
    this.#countNews();
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

  #draw(messages, waiting, can) {
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
    for (const entry of waiting) {
      const line = { entry, day: dayKey(entry.created), at: entry.created, by: "" };
      lines.push({ ...line, key: entry.viewKey, continues: continues(before, line) });
      before = line;
    }

    const kept = new Set(lines.map((line) => line.key));
    const added = lines.filter((line) => !this.#nodes.has(line.key)).length;
    if (added > ANNOUNCED_MAX) this.#holdAnnouncements();
    for (const [key, node] of this.#nodes) if (!kept.has(key)) this.#take(key, node);
    let next = this.#list.firstElementChild;
    for (const line of lines) {
      const node = this.#nodes.get(line.key) ?? this.#make(line, added > ANNOUNCED_MAX);
      if (line.message) node.bubble.show(line.message, { ...line, can });
      else if (line.entry) node.bubble.showOutgoing(line.entry, line);
      else this.#date(node, line);
      if (node.element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(node.element, next);
    }
  }

  #make(line, isBulk) {
    const bubble = line.day ? new Bubble(this.#actions) : undefined;
    const element = bubble?.element ?? find("day-template").content.firstElementChild.cloneNode(true);
    element.classList.toggle("arriving", Boolean(bubble) && !isBulk);
    const node = { bubble, element };
    this.#nodes.set(line.key, node);
    return node;
  }

  #date(node, { at }) {
    const time = node.element.firstElementChild;
    time.dateTime = dayKey(at);
    time.textContent = dayName(at);
  }

  #take(key, { bubble, element }) {
    const hadFocus = element.contains(document.activeElement);
    const draft = bubble?.draft;
    element.remove();
    this.#nodes.delete(key);
    if (draft) this.#actions.rescue(draft);
    else if (hadFocus) this.#actions.focusComposer();
  }

  /** A page of history is not news: screen readers should not announce it. */
  #holdAnnouncements() {
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
    this.#countNews();
    if (scrollTop < NEAR_START_PX && !this.#isAtEnd && !this.#earlier.hidden) this.#actions.loadEarlier();
  }

  #countNews() {
    const messages = this.#source?.feed.messages;
    const isReading = this.#isAtEnd && !document.hidden && !messages?.isDetached;
    if (isReading || this.#seenId === undefined) this.#seenId = messages?.newestId ?? (this.#source?.isRead ? 0 : undefined);
    const unseen = messages?.all.filter(({ id, own }) => id > this.#seenId && own === false).length ?? 0;
    const news = unseen + (messages?.missed ?? 0);
    const isElsewhere = !this.#isAtEnd || messages?.isDetached;
    this.#news.hidden = !isElsewhere || (news === 0 && !messages?.isDetached);
    const text = news ? count(news, "new message", "new messages") : "Back to the latest";
    if (this.#news.textContent !== text) this.#news.textContent = text;
    document.title = document.hidden && news ? `(${news}) ${this.#title}` : this.#title;
  }
}

/** Returns whether a message continues the previous one: same person, same day, within `GROUP_MS`. */
function continues(before, line) {
  return before !== undefined && before.by === line.by && before.day === line.day && line.at - before.at < GROUP_MS;
}
