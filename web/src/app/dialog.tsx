// A question that has to be answered before anything else. Escape is the answer that changes nothing; the focus goes back to
// where it was.

import { useId, useLayoutEffect, useRef, type ReactNode } from 'react';
import '../styles/dialog.css';

interface QuestionProps {
  title: string;
  cancel: () => void;
  children: ReactNode;
}

/** The focus goes to what is marked `data-first`, else to the first field or button. */
export function Question({ title, cancel, children }: QuestionProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Closed while it is still in the document: else the browser does not know where the focus was.
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>('[data-first]')?.focus();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      className="modal question"
      role="alertdialog"
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        cancel();
      }}
    >
      <div className="dialog">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}
