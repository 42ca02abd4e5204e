// What the parts of the settings form share: the draft, who may change it, and the place of an error.

import { createContext, useContext, type ReactNode } from 'react';
import type { Wrong } from './draft.js';
import type { DraftState } from './use-draft.js';

export interface Form extends Pick<DraftState, 'mine' | 'edit'> {
  channel: string;
  readOnly: boolean;
  wrong: Wrong | undefined;
  /** Addresses of the channel's own pictures. */
  pictures: ReadonlyMap<string, string>;
}

const FormContext = createContext<Form | undefined>(undefined);

export const FormProvider = FormContext.Provider;

export function useForm(): Form {
  const form = useContext(FormContext);
  if (!form) throw new Error('used outside of the settings form');
  return form;
}

/** A part of the page with a heading. */
export function Section({
  id,
  title,
  children,
}: {
  id: string;
  title: string;
  children: ReactNode;
}) {
  return (
    <section className="panel section" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

/** What is wrong with a field, beside it. */
export function WrongAt({ field }: { field: string }) {
  const { wrong } = useForm();
  return (
    <p className="wrong" id={`wrong-${field}`} data-wrong={field}>
      {wrong?.field === field ? wrong.words : ''}
    </p>
  );
}

/** Attributes of the control that an error may be about. */
export function useWrong(field: string) {
  const { wrong } = useForm();
  const isWrong = wrong?.field === field;
  return { isWrong, 'data-field': field, 'aria-describedby': `wrong-${field}` };
}
