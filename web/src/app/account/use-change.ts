// Changes that end tokens: meanwhile nothing else is asked, because the answer would be that the login is over.

import { useIsMutating, useMutation, useQueryClient } from '@tanstack/react-query';

const KEY = ['account'];

/** Whether such a change is on its way. */
export function useIsChanging(): boolean {
  return useIsMutating({ mutationKey: KEY }) > 0;
}

/** Makes such a change; the session must be right again before it ends. */
export function useChange<Outcome>(): (change: () => Promise<Outcome>) => Promise<Outcome> {
  const queries = useQueryClient();
  const { mutateAsync } = useMutation({
    mutationKey: KEY,
    mutationFn: async (change: () => Promise<Outcome>) => {
      await queries.cancelQueries();
      return change();
    },
  });
  return mutateAsync;
}
